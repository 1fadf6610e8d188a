/** What `fermata doctor --production` makes of facts: nothing to do when all is well, and what each bad one turns. */
import { describe, expect, test } from 'vitest';
import { memoryFacts, type ProductionFacts } from '../../src/cli/doctor-facts.ts';
import { productionFindings } from '../../src/cli/doctor-production.ts';
import type { Config } from '../../src/host/config.ts';
import { complaints, disk, goodFacts, goodSecret, hourMs, nowMs, tenant } from './doctor-good-facts.ts';

const set = (changed: Partial<Config>) => (facts: ProductionFacts) => ({
  settings: { ...facts.settings, config: { ...facts.settings.config, ...changed } },
});
const auth = (changed: Partial<Config['auth']>) => (facts: ProductionFacts) =>
  set({ auth: { ...facts.settings.config.auth, ...changed } })(facts);
const folder =
  (name: 'data' | 'backupFolder', changed: Partial<ProductionFacts['data']>) => (facts: ProductionFacts) => ({
    [name]: { ...facts[name], ...changed },
  });
const backup = (changed: object) => () => ({
  backups: { tenants: [tenant({}), tenant({ tenant: 'bolt', ...changed })] },
});
const leftOvers = (changed: object) => (facts: ProductionFacts) => ({ leftOvers: { ...facts.leftOvers, ...changed } });
const mount = (type: string, readOnly = false) => ({ mount: { type, source: type, readOnly } });
const byKeys =
  (keys: readonly object[], algorithms = ['RS256']) =>
  (facts: ProductionFacts) => ({
    ...auth({ secret: undefined, jwksUrl: 'https://login.example.com/keys', algorithms })(facts),
    keySet: { keys },
  });
const rsa = (bytes: number) => ({ kty: 'RSA', n: Buffer.alloc(bytes, 200).toString('base64url'), e: 'AQAB' });
const actors = (durability: 'memory' | 'process') => () => ({
  app: { kind: 'loaded' as const, actors: [{ type: 'cursor', durability }] },
});

test('when all is well nothing is to be done', () => {
  expect(complaints(goodFacts())).toEqual({});
});

type Change = (facts: ProductionFacts) => Partial<ProductionFacts>;
const cases: readonly (readonly [what: string, expected: Record<string, string>, change: Change])[] = [
  [
    'an app that does not load',
    { app: 'fail', durability: 'warn' },
    () => ({ app: { kind: 'failed', message: 'no', hint: 'mend' } }),
  ],
  ['no app named', { app: 'warn', durability: 'warn' }, () => ({ app: { kind: 'unnamed' } })],
  ['actors in memory', { durability: 'warn' }, actors('memory')],
  ['actors without fsync', { durability: 'warn' }, actors('process')],
  ['development', { development: 'fail', 'log format': 'warn' }, set({ dev: true })],
  ['no key', { authentication: 'fail', keys: 'fail' }, auth({ secret: undefined })],
  ['a secret of one letter', { keys: 'fail' }, auth({ secret: 'x'.repeat(48) })],
  ['a secret that repeats itself', { keys: 'fail' }, auth({ secret: 'Ab3dEf9hJk'.repeat(5) })],
  ['a secret of words', { keys: 'fail' }, auth({ secret: 'my-Super-Secret-for-the-best-chat-of-2026' })],
  ['a secret as a flag', { keys: 'warn' }, ({ secretOrigin }) => ({ secretOrigin: { ...secretOrigin, byFlag: true } })],
  [
    'a secret for all eyes',
    { keys: 'warn' },
    ({ secretOrigin }) => ({ secretOrigin: { ...secretOrigin, fileMode: 0o100644 } }),
  ],
  ['the same in a container', {}, () => ({ secretOrigin: { byFlag: false, fileMode: 0o100444, inContainer: true } })],
  ['keys of 2048 bits', {}, byKeys([rsa(256)])],
  ['keys of 1024 bits', { keys: 'fail' }, byKeys([rsa(128)])],
  ['private keys', { keys: 'fail' }, byKeys([{ ...rsa(256), d: 'AQAB' }])],
  ['keys of another kind', { keys: 'fail' }, byKeys([rsa(256)], ['ES256'])],
  ['keys to encrypt with', { keys: 'fail' }, byKeys([{ ...rsa(256), use: 'enc' }])],
  ['elliptic keys', {}, byKeys([{ kty: 'EC', crv: 'P-256' }], ['RS256', 'ES256'])],
  [
    'keys that nobody answers for',
    { keys: 'fail' },
    (facts) => ({ ...byKeys([])(facts), keySet: { problem: 'ECONNREFUSED' } }),
  ],
  ['a mix of algorithms', { algorithms: 'fail' }, auth({ algorithms: ['HS256', 'RS256'] })],
  ['the default issuer', { issuer: 'warn' }, auth({ issuer: 'fermata' })],
  [
    'the default issuer with keys',
    { issuer: 'fail' },
    (facts) => ({ ...byKeys([rsa(256)])({ ...facts, ...auth({ issuer: 'fermata' })(facts) }) }),
  ],
  ['the default audience', { audience: 'warn' }, auth({ audience: 'fermata' })],
  ['query tokens', { 'query tokens': 'warn' }, auth({ queryToken: true })],
  [
    'a list of the revoked that anybody writes',
    { revocation: 'warn' },
    (facts) => ({ ...auth({ revokedFile: '/r' })(facts), revokedMode: 0o100666 }),
  ],
  ['no origins', { origins: 'warn' }, set({ allowedOrigins: [] })],
  ['an origin without TLS', { origins: 'warn' }, set({ allowedOrigins: ['http://app.example.com'] })],
  ['an origin of this machine', { origins: 'warn' }, set({ allowedOrigins: ['http://localhost:5173'] })],
  ['every address', { address: 'warn' }, set({ host: '0.0.0.0' })],
  ['every address of a container', {}, (facts) => ({ ...set({ host: '0.0.0.0' })(facts), inContainer: true })],
  ['loopback in a container', { address: 'warn' }, () => ({ inContainer: true })],
  ['a private address', {}, set({ host: '10.1.2.3' })],
  ['a private address of IPv6', {}, set({ host: 'fd00::7' })],
  ['a public address', { address: 'warn' }, set({ host: '203.0.113.7' })],
  ['a name for an address', { address: 'warn' }, set({ host: 'db.internal' })],
  [
    'a port that is taken',
    { port: 'warn' },
    () => ({ port: { check: 'port 8080', status: 'warn', message: 'in use', hint: 'x' } }),
  ],
  ['an admin port for all', { 'admin port': 'fail' }, set({ adminHost: '0.0.0.0' })],
  ['an admin port in a private network', { 'admin port': 'warn' }, set({ adminHost: '10.0.0.1' })],
  ['root', { user: 'fail', 'data owner': 'warn' }, () => ({ uid: 0 })],
  ['NODE_ENV of development', { NODE_ENV: 'warn' }, () => ({ nodeEnv: 'development' })],
  ['a debugger', { 'Node options': 'fail' }, () => ({ nodeOptions: ['--inspect=0.0.0.0:9229'] })],
  ['a debugger that waits', { 'Node options': 'fail' }, () => ({ nodeOptions: ['--inspect-brk'] })],
  ['keys of anybody', { 'Node options': 'fail' }, () => ({ tlsUnverified: true })],
  ['source maps', { 'Node options': 'warn' }, () => ({ nodeOptions: ['--enable-source-maps'] })],
  ['a log of everything', { 'log level': 'warn' }, set({ logLevel: 'trace' })],
  ['no log', { 'log level': 'warn' }, set({ logLevel: 'silent' })],
  ['a stop longer than its grace', { 'stop time': 'warn' }, set({ shutdownTimeoutMs: 15_000 })],
  ['a stop of a moment', { 'stop time': 'warn' }, set({ shutdownTimeoutMs: 500 })],
  ['too little memory for heaps', { memory: 'warn' }, () => ({ memory: { bytes: 2 ** 30, limited: true } })],
  ['too little memory for states', { memory: 'fail' }, () => ({ memory: { bytes: 2 ** 28, limited: true } })],
  ['a clock on its own', { 'clock sync': 'warn' }, () => ({ clockSynchronized: false })],
  ['a clock that is not known of', {}, () => ({ clockSynchronized: undefined })],
  ['a relative data directory', { 'data directory': 'fail' }, folder('data', { given: './data' })],
  [
    'a file for a data directory',
    { 'data directory': 'fail', 'data owner': 'warn' },
    folder('data', { kind: 'other' }),
  ],
  ['no data directory yet', { 'data directory': 'warn', 'data owner': 'warn' }, folder('data', { kind: 'missing' })],
  ['a data directory for reading', { 'data directory': 'fail' }, folder('data', { writable: false })],
  ['the data of another user', { 'data owner': 'warn' }, folder('data', { uid: 10_002 })],
  ['data open to the group', { 'data owner': 'warn' }, folder('data', { mode: 0o770 })],
  ['data open to all', { 'data owner': 'fail' }, folder('data', { mode: 0o755 })],
  [
    'a volume of Kubernetes',
    { 'data owner': 'warn' },
    (facts) => ({
      ...folder('data', { mode: 0o2775, uid: 0 })(facts),
      ...set({ host: '0.0.0.0' })(facts),
      inContainer: true,
    }),
  ],
  [
    'data that all write, in a container',
    { 'data owner': 'fail', address: 'warn' },
    (facts) => ({ ...folder('data', { mode: 0o777 })(facts), inContainer: true }),
  ],
  ['data in memory', { 'file system': 'fail' }, folder('data', mount('tmpfs'))],
  ['data in a container’s layer', { 'file system': 'fail' }, folder('data', mount('overlay'))],
  ['data on a network', { 'file system': 'fail' }, folder('data', mount('nfs4'))],
  ['data on a disk for reading', { 'file system': 'fail' }, folder('data', mount('ext4', true))],
  ['data nobody knows where', { 'file system': 'warn' }, folder('data', { mount: undefined })],
  ['few inodes', { inodes: 'warn' }, folder('data', { inodes: { free: 40_000, total: 1e6 } })],
  ['no inodes', { inodes: 'fail' }, folder('data', { inodes: { free: 9, total: 1e6 } })],
  ['inodes without number', {}, folder('data', { inodes: { free: 0, total: 0 } })],
  ['a tenant closed off', { quarantine: 'fail' }, leftOvers({ closedTenants: ['acme'], asideNames: ['acme-1'] })],
  ['a call closed off', { quarantine: 'warn' }, leftOvers({ closedCalls: 1 })],
  ['files moved aside', { quarantine: 'warn' }, leftOvers({ asideNames: ['acme-20261121'] })],
  [
    'a restore that was killed',
    { 'unfinished restores': 'warn' },
    leftOvers({ restores: ['restore-acme-7-0a1b2c3d'] }),
  ],
  [
    'data that may not be seen',
    { quarantine: 'fail', 'unfinished restores': 'fail', 'backup age': 'fail' },
    () => ({ leftOvers: { problem: 'EACCES' }, backups: { problem: 'EACCES' } }),
  ],
  [
    'backups off',
    { 'backup interval': 'fail' },
    (facts) => ({
      ...set({ backup: { ...facts.settings.config.backup, intervalMs: undefined } })(facts),
      backups: { tenants: [] },
    }),
  ],
  [
    'backups by cron',
    { 'backup interval': 'warn' },
    (facts) => set({ backup: { ...facts.settings.config.backup, intervalMs: undefined } })(facts),
  ],
  [
    'a backup a week',
    { 'backup interval': 'warn' },
    (facts) => set({ backup: { ...facts.settings.config.backup, intervalMs: 168 * hourMs } })(facts),
  ],
  [
    'backups beside the data',
    { 'backup folder': 'fail' },
    folder('backupFolder', { given: '/data/backups', path: '/data/backups', device: 1, mount: disk }),
  ],
  ['backups on the same disk', { 'backup folder': 'warn' }, folder('backupFolder', { device: 1 })],
  ['another subvolume of that disk', { 'backup folder': 'warn' }, folder('backupFolder', { mount: disk })],
  ['backups on a network', {}, folder('backupFolder', mount('nfs4'))],
  ['backups in memory', { 'backup folder': 'fail' }, folder('backupFolder', mount('tmpfs'))],
  ['backups for reading', { 'backup folder': 'fail' }, folder('backupFolder', { writable: false })],
  ['no folder for backups yet', { 'backup folder': 'warn' }, folder('backupFolder', { kind: 'missing' })],
  ['backups open to all', { 'backup folder': 'warn' }, folder('backupFolder', { mode: 0o755 })],
  ['a relative folder of backups', { 'backup folder': 'fail' }, folder('backupFolder', { given: 'backups' })],
  ['an old tenant without a base', { 'backup age': 'fail' }, backup({ baseMs: undefined })],
  ['a new tenant without a base', {}, backup({ baseMs: undefined, bornMs: nowMs - hourMs })],
  [
    'an old base of a tenant that nobody changed',
    {},
    backup({ baseMs: nowMs - 50 * hourMs, changedMs: nowMs - 60 * hourMs }),
  ],
  [
    'an old base of a tenant that was changed long ago',
    { 'backup age': 'fail' },
    backup({ baseMs: nowMs - 50 * hourMs, changedMs: nowMs - 40 * hourMs }),
  ],
  [
    'an old base of a tenant that was changed just now',
    { 'backup age': 'warn' },
    backup({ baseMs: nowMs - 50 * hourMs }),
  ],
  ['a newest base that is damaged', { 'backup age': 'fail' }, backup({ damaged: 1 })],
];

describe('each bad fact turns its own check, and no other', () => {
  test.each(cases)('%s', (_, expected, change) => {
    const facts = goodFacts();
    expect(complaints({ ...facts, ...change(facts) })).toEqual(expected);
  });

  test('every complaint says what to do', () => {
    for (const [, , change] of cases) {
      const facts = goodFacts();
      for (const finding of productionFindings({ ...facts, ...change(facts) }))
        expect([finding.status, finding.hint ?? '']).not.toEqual([expect.stringMatching(/warn|fail/), '']);
    }
  });

  test('no finding repeats a secret', () => {
    expect(JSON.stringify(productionFindings(goodFacts()))).not.toContain(goodSecret);
  });
});

test('memory is what the cgroup allows, or what the machine has where it allows more', () => {
  expect(memoryFacts(100, 200)).toEqual({ bytes: 100, limited: true });
  for (const none of [0, 2 ** 64, 200]) expect(memoryFacts(none, 200)).toEqual({ bytes: 200, limited: false });
});
