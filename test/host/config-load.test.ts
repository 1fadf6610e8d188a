import { availableParallelism } from 'node:os';
import { describe, expect, test } from 'vitest';
import type { LoadedConfig } from '../../src/host/config-load.ts';
import { settingNames } from '../../src/host/config-settings.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { file, load, secret } from './config-fixture.ts';

describe('where a value comes from', () => {
  test('without flags and environment every value is the documented default', () => {
    expect(load().config).toEqual({
      app: '',
      dev: false,
      host: '127.0.0.1',
      port: 8080,
      adminHost: '127.0.0.1',
      adminPort: undefined,
      dataDir: './data',
      backup: { dir: './data/backups', intervalMs: undefined, keep: { hourly: 24, daily: 7, weekly: 4 } },
      shards: Math.max(1, availableParallelism() - 1),
      gateways: 1,
      shutdownTimeoutMs: 10_000,
      logLevel: 'info',
      allowedOrigins: [],
      auth: {
        secret: undefined,
        jwksUrl: undefined,
        jwksFile: undefined,
        issuer: 'fermata',
        audience: 'fermata',
        algorithms: ['HS256'],
        tenantClaim: 'tenant',
        queryToken: false,
        revokedFile: undefined,
      },
      nats: undefined,
      natsServer: undefined,
      slotGraceMs: 300_000,
      limits: defaultLimits,
    });
  });

  test('the environment wins over the default, and the flag over both', () => {
    expect(load({}, { PORT: '9000' }).config.port).toBe(9000);
    expect(load({ '--port': '9001' }, { PORT: '9000' }).config.port).toBe(9001);
  });

  test('a bad value that a flag overrides does not matter', () => {
    expect(load({ '--port': '9001' }, { PORT: 'never' }).config.port).toBe(9001);
  });

  test('the last of a repeated flag counts, so that a script can be given another', () => {
    expect(load({ '--port': ['1', '2'] }).config.port).toBe(2);
  });

  test('an empty variable counts as not set, as compose files write it', () => {
    expect(load({}, { PORT: '', ADMIN_PORT: ' ' }).config).toMatchObject({ port: 8080, adminPort: undefined });
  });

  test('every setting is read from its fixed variable and from the flag of the same words', () => {
    const keys = file('keys.json', '{"keys":[]}');
    const revoked = file('revoked.json', '{"jti":[]}');
    const nats = { NATS_URL: 'nats://127.0.0.1:4222' };
    type Row = [text: string, at: (loaded: LoadedConfig) => unknown, value: unknown, beside?: Record<string, string>];
    const values: Record<string, Row> = {
      HOST: ['::1', (l) => l.config.host, '::1'],
      PORT: ['0', (l) => l.config.port, 0],
      DATA_DIR: ['/srv/x', (l) => l.config.dataDir, '/srv/x'],
      BACKUP_DIR: ['/mnt/b', (l) => l.config.backup.dir, '/mnt/b'],
      BACKUP_INTERVAL: ['15m', (l) => l.config.backup.intervalMs, 900_000],
      BACKUP_KEEP: ['2d', (l) => l.config.backup.keep, { hourly: 0, daily: 2, weekly: 0 }],
      ADMIN_PORT: ['9090', (l) => l.config.adminPort, 9090],
      ADMIN_HOST: ['10.0.0.1', (l) => l.config.adminHost, '10.0.0.1'],
      SHARDS: ['3', (l) => l.config.shards, 3],
      GATEWAYS: ['2', (l) => l.config.gateways, 2],
      SHUTDOWN_TIMEOUT_MS: ['2500', (l) => l.config.shutdownTimeoutMs, 2500],
      LOG_LEVEL: ['debug', (l) => l.config.logLevel, 'debug'],
      ALLOWED_ORIGINS: [
        'https://a.example, http://b.example:8080',
        (l) => l.config.allowedOrigins,
        ['https://a.example', 'http://b.example:8080'],
      ],
      AUTH_JWT_SECRET: [secret, (l) => l.config.auth.secret, secret],
      AUTH_JWT_SECRET_FILE: [file('secret', `${secret}\n`), (l) => l.config.auth.secret, secret],
      AUTH_JWKS_URL: ['https://id.example/keys', (l) => l.config.auth.jwksUrl, 'https://id.example/keys'],
      AUTH_JWKS_FILE: [keys, (l) => l.config.auth.jwksFile, keys],
      AUTH_ISSUER: ['https://id.example/', (l) => l.config.auth.issuer, 'https://id.example/'],
      AUTH_AUDIENCE: ['shop', (l) => l.config.auth.audience, 'shop'],
      AUTH_ALGORITHMS: ['HS256,HS384', (l) => l.config.auth.algorithms, ['HS256', 'HS384']],
      AUTH_TENANT_CLAIM: ['org', (l) => l.config.auth.tenantClaim, 'org'],
      AUTH_QUERY_TOKEN: ['true', (l) => l.config.auth.queryToken, true],
      AUTH_REVOKED_FILE: [revoked, (l) => l.config.auth.revokedFile, revoked],
      NATS_URL: ['nats://a:4222, tls://b', (l) => l.config.nats?.servers, ['nats://a:4222', 'tls://b']],
      NATS_USER: ['me', (l) => l.config.nats?.user, 'me', { ...nats, NATS_PASSWORD: 'pass' }],
      NATS_PASSWORD: ['pass', (l) => l.config.nats?.password, 'pass', { ...nats, NATS_USER: 'me' }],
      NATS_TOKEN: ['word', (l) => l.config.nats?.token, 'word', nats],
      NATS_CREDS_FILE: [keys, (l) => l.config.nats?.credsFile, keys, nats],
      NATS_NKEY_FILE: [keys, (l) => l.config.nats?.nkeyFile, keys, nats],
      NATS_TLS_CA_FILE: [keys, (l) => l.config.nats?.tlsCaFile, keys, nats],
      NATS_TLS_CERT_FILE: [keys, (l) => l.config.nats?.tlsCertFile, keys, { ...nats, NATS_TLS_KEY_FILE: keys }],
      NATS_TLS_KEY_FILE: [keys, (l) => l.config.nats?.tlsKeyFile, keys, { ...nats, NATS_TLS_CERT_FILE: keys }],
      NATS_REPLICAS: ['3', (l) => l.config.nats?.replicas, 3, nats],
      SLOT_GRACE: ['30s', (l) => l.config.slotGraceMs, 30_000],
      NATS: ['managed', (l) => l.config.natsServer?.host, '127.0.0.1'],
      NATS_SERVER_BIN: ['/opt/nats', (l) => l.config.natsServer?.bin, '/opt/nats', { NATS: 'managed' }],
      NATS_SERVER_HOST: ['0.0.0.0', (l) => l.config.natsServer?.host, '0.0.0.0', { NATS: 'managed' }],
      NATS_SERVER_PORT: ['5222', (l) => l.config.natsServer?.port, 5222, { NATS: 'managed' }],
      LEAF_REMOTES: [
        'nats-leaf://hub:7422',
        (l) => l.config.natsServer?.leafRemotes,
        ['nats-leaf://hub:7422'],
        { NATS: 'managed' },
      ],
      NATS_DOMAIN: ['shop', (l) => l.config.natsServer?.domain, 'shop', { NATS: 'managed' }],
      LIMITS: ['turnMs=5000', (l) => l.config.limits.turnMs, 5000],
    };
    expect([...Object.keys(values), 'DEV'].sort()).toEqual([...settingNames].sort());
    for (const [name, [text, at, value, beside = {}]] of Object.entries(values)) {
      expect(at(load({}, { ...beside, [name]: text })), name).toEqual(value);
      const flag = name === 'LIMITS' ? '--limit' : `--${name.toLowerCase().replaceAll('_', '-')}`;
      expect(at(load({ [flag]: text }, beside)), flag).toEqual(value);
    }
  });

  test('development cannot be turned on by the environment', () => {
    expect(load({}, { DEV: 'true' }).config.dev).toBe(false);
    expect(load({ '--dev': 'true' }).config.dev).toBe(true);
  });

  test('a setting that the command does not use is not even read', () => {
    expect(load({}, { PORT: 'never', DATA_DIR: '/srv/x' }, { names: ['DATA_DIR'] }).config).toMatchObject({
      port: 8080,
      dataDir: '/srv/x',
    });
  });

  test('keys of an identity provider bring its signatures as the default', () => {
    expect(load({}, { AUTH_JWKS_URL: 'https://id.example/keys' }).config.auth.algorithms).toEqual([
      'RS256',
      'ES256',
      'EdDSA',
    ]);
  });

  test('the result is frozen to its leaves', () => {
    const { config } = load();
    for (const part of [
      config,
      config.backup,
      config.backup.keep,
      config.auth,
      config.auth.algorithms,
      config.limits,
      config.allowedOrigins,
    ]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });
});

describe('limits', () => {
  test('flags change limits on top of the environment', () => {
    const { config } = load({ '--limit': ['turnMs=3', 'socketsMax=10'] }, { LIMITS: 'turnMs=1,mailboxCallsMax=2' });
    expect(config.limits).toEqual({ ...defaultLimits, turnMs: 3, socketsMax: 10, mailboxCallsMax: 2 });
  });

  test('the defaults themselves stay as they are', () => {
    const before = { ...defaultLimits };
    load({ '--limit': 'turnMs=3' });
    expect(defaultLimits).toEqual(before);
  });
});
