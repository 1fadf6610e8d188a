import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeJwt, jwtVerify } from 'jose';
import { describe, expect, test } from 'vitest';
import { readOrCreateDevSecret } from '../../src/cli/dev-secret.ts';
import { fermata, newFolder } from './command-fixture.ts';

const secret = 'a-secret-that-is-long-enough-for-hs256';
const who = ['token', '--tenant', 'acme', '--sub', 'ada'];

async function verified(token: string, key: string) {
  return await jwtVerify(token, new TextEncoder().encode(key), {
    issuer: 'fermata',
    audience: 'fermata',
    algorithms: ['HS256'],
  });
}

describe('token', () => {
  test('prints a token alone that the secret verifies, for one hour', async () => {
    const { exitCode, out, err } = await fermata(who, { AUTH_JWT_SECRET: secret });
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    expect(out).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
    const { payload } = await verified(out, secret);
    expect(payload).toMatchObject({ iss: 'fermata', aud: 'fermata', sub: 'ada', tenant: 'acme' });
    expect(payload.exp! - payload.iat!).toBe(3600);
  });

  test('issuer, audience and tenant claim come from the same settings as the server', async () => {
    const env = { AUTH_JWT_SECRET: secret, AUTH_ISSUER: 'me', AUTH_AUDIENCE: 'shop', AUTH_TENANT_CLAIM: 'org' };
    const { out } = await fermata(who, env);
    expect(decodeJwt(out)).toMatchObject({ iss: 'me', aud: 'shop', org: 'acme' });
    expect(decodeJwt(out)).not.toHaveProperty('tenant');
  });

  test('without a secret it signs with the development secret of the data directory, and says so on stderr', async () => {
    const dataDir = join(newFolder(), 'data');
    const { exitCode, out, err } = await fermata([...who, '--data-dir', dataDir]);
    expect(exitCode).toBe(0);
    expect(err).toContain('only `serve --dev` there accepts it');
    await expect(verified(out, readOrCreateDevSecret(dataDir))).resolves.toBeDefined();
  });

  test.each([
    ['30s', 30],
    ['15m', 900],
    ['1h', 3600],
    ['24h', 86_400],
  ])('--ttl %s lasts %i seconds', async (ttl, seconds) => {
    const { out } = await fermata([...who, '--ttl', ttl], { AUTH_JWT_SECRET: secret });
    const { exp, iat } = decodeJwt(out);
    expect(exp! - iat!).toBe(seconds);
  });

  test.each(['25h', '0s', '90', '1d', '1.5h', '-1h', 'soon'])('--ttl %s is refused', async (ttl) => {
    const { exitCode, out, err } = await fermata([...who, `--ttl=${ttl}`], { AUTH_JWT_SECRET: secret });
    expect({ exitCode, out }).toEqual({ exitCode: 64, out: '' });
    expect(err).toContain('is no time from 1s to 24h');
  });

  test('claims are JSON where they can be, text elsewhere', async () => {
    const claims = ['--claim', 'role=admin', '--claim', 'level=3', '--claim', 'tags=["a"]', '--claim', 'motto=a=b'];
    const { out } = await fermata([...who, ...claims], { AUTH_JWT_SECRET: secret });
    expect(decodeJwt(out)).toMatchObject({ role: 'admin', level: 3, tags: ['a'], motto: 'a=b' });
  });

  test.each(['sub=eve', 'tenant=evil', 'exp=99999999999', '=x', 'novalue'])(
    'the claim %s is refused',
    async (claim) => {
      const { exitCode, out } = await fermata([...who, '--claim', claim], { AUTH_JWT_SECRET: secret });
      expect({ exitCode, out }).toEqual({ exitCode: 64, out: '' });
    },
  );

  test.each(['Acme', '../evil', 'a b', '', 'x'.repeat(64)])('the tenant "%s" is refused', async (tenant) => {
    const { exitCode, out } = await fermata(['token', `--tenant=${tenant}`, '--sub', 'ada'], {
      AUTH_JWT_SECRET: secret,
    });
    expect({ exitCode, out }).toEqual({ exitCode: 64, out: '' });
  });

  test('what is required is asked for', async () => {
    expect((await fermata(['token', '--sub', 'ada'], { AUTH_JWT_SECRET: secret })).err).toContain(
      'token needs --tenant',
    );
    expect((await fermata(['token', '--tenant', 'a'], { AUTH_JWT_SECRET: secret })).err).toContain('token needs --sub');
  });

  test('where an identity provider issues tokens, none is minted that nobody would accept', async () => {
    const { exitCode, err } = await fermata(who, { AUTH_JWKS_URL: 'https://id.example/keys' });
    expect(exitCode).toBe(78);
    expect(err).toContain('only that provider can issue them');
  });

  test('a mistake makes no secret', async () => {
    const dataDir = join(newFolder(), 'data');
    await fermata(['token', '--tenant', 'BAD', '--sub', 'ada', '--data-dir', dataDir]);
    expect(existsSync(dataDir)).toBe(false);
  });
});

describe('the development secret', () => {
  test('is made once, for its owner only, and read afterwards', () => {
    const dataDir = join(newFolder(), 'deep', 'data');
    const made = readOrCreateDevSecret(dataDir);
    expect(Buffer.from(made, 'base64url').length).toBeGreaterThanOrEqual(32);
    expect(readOrCreateDevSecret(dataDir)).toBe(made);
    expect(readdirSync(dataDir)).toEqual(['dev-secret']);
    expect(statSync(join(dataDir, 'dev-secret')).mode & 0o777).toBe(0o600);
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
  });

  test('differs between data directories', () => {
    expect(readOrCreateDevSecret(newFolder())).not.toBe(readOrCreateDevSecret(newFolder()));
  });

  test('is closed again when somebody opened it', () => {
    const dataDir = newFolder();
    readOrCreateDevSecret(dataDir);
    chmodSync(join(dataDir, 'dev-secret'), 0o644);
    readOrCreateDevSecret(dataDir);
    expect(statSync(join(dataDir, 'dev-secret')).mode & 0o777).toBe(0o600);
  });

  test('is refused when it is too short to be one', () => {
    const dataDir = newFolder();
    writeFileSync(join(dataDir, 'dev-secret'), 'hush\n');
    expect(() => readOrCreateDevSecret(dataDir)).toThrow('is shorter than 32 bytes');
    expect(readFileSync(join(dataDir, 'dev-secret'), 'utf8')).toBe('hush\n');
  });

  test('a data directory that cannot be made is told with its path', async () => {
    const file = join(newFolder(), 'file');
    writeFileSync(file, '');
    const { exitCode, err } = await fermata([...who, '--data-dir', join(file, 'data')]);
    expect(exitCode).toBe(73);
    expect(err).toContain(file);
  });
});
