/** Facts of an installation that has everything right, to be made worse one by one. */
import type { ProductionFacts } from '../../src/cli/doctor-facts.ts';
import { ok } from '../../src/cli/doctor-finding.ts';
import { productionFindings } from '../../src/cli/doctor-production.ts';
import { readSettings } from '../../src/cli/doctor-settings.ts';

export const hourMs = 3_600_000;
export const nowMs = Date.UTC(2026, 10, 21, 12);
export const disk = { type: 'ext4', source: '/dev/vdb', readOnly: false };
export const goodSecret = 'q7Vn0zR4kXy2WcJ8sLbT5hPeA1uGfMdZ9oKiH3xNrEwYvCtB';
export const goodEnv = {
  HOST: '127.0.0.1',
  DATA_DIR: '/data',
  BACKUP_DIR: '/backups',
  BACKUP_INTERVAL: '1h',
  SHARDS: '1',
  ADMIN_PORT: '9090',
  AUTH_JWT_SECRET: goodSecret,
  AUTH_ISSUER: 'https://login.example.com',
  AUTH_AUDIENCE: 'chat',
  ALLOWED_ORIGINS: 'https://app.example.com',
};

export function goodFacts(env: Record<string, string> = goodEnv, flags: ReadonlyMap<string, string[]> = new Map()) {
  const folder = {
    kind: 'folder' as const,
    uid: 10_001,
    mode: 0o700,
    writable: true,
    inodes: { free: 9e5, total: 1e6 },
  };
  const plain = ['Node', 'SQLite', 'uWebSockets.js', 'cores', 'open files', 'clock', 'free space', 'fsync'];
  const facts: ProductionFacts = {
    settings: readSettings({ flags, env }, 'app.js'),
    nowMs,
    plain: new Map(plain.map((check) => [check, ok(check, 'well')])),
    port: ok('port 8080', 'free'),
    adminPort: ok('port 9090', 'free'),
    inContainer: false,
    uid: 10_001,
    nodeEnv: 'production',
    nodeOptions: ['--max-semi-space-size=32'],
    tlsUnverified: false,
    memory: { bytes: 4 * 2 ** 30, limited: true },
    clockSynchronized: true,
    secretOrigin: { byFlag: false, fileMode: 0o100400, inContainer: false },
    keySet: undefined,
    revokedMode: undefined,
    app: { kind: 'loaded', actors: [{ type: 'chat', durability: 'durable' }] },
    data: { ...folder, given: '/data', path: '/data', device: 1, mount: disk },
    backupFolder: { ...folder, given: '/backups', path: '/backups', device: 2, mount: { ...disk, source: '/dev/vdc' } },
    backups: { tenants: [tenant({})] },
    leftOvers: { closedTenants: [], closedCalls: 0, asideNames: [], restores: [] },
  };
  return facts;
}

export function tenant(changed: object) {
  const usual = {
    tenant: 'acme',
    bornMs: nowMs - 90 * hourMs,
    changedMs: nowMs - 1000,
    baseMs: nowMs - hourMs,
    damaged: 0,
  };
  return { ...usual, ...changed };
}

/** The statuses of all checks that are not ok. */
export function complaints(facts: ProductionFacts): Record<string, string> {
  const bad = productionFindings(facts).filter(({ status }) => status !== 'ok');
  return Object.fromEntries(bad.map(({ check, status }) => [check, status]));
}
