/** What `fermata doctor --production` gathers: mounts, folders, keys, the app, backups and left-overs, each from the real thing. */
import { chmodSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { lookAtApp } from '../../src/cli/doctor-app.ts';
import { judgeBackupAge, lookAtBackups } from '../../src/cli/doctor-backups.ts';
import { lookAtFolder } from '../../src/cli/doctor-folder.ts';
import { readKeySet } from '../../src/cli/doctor-keys.ts';
import { lookForLeftOvers } from '../../src/cli/doctor-left-overs.ts';
import { mountOf } from '../../src/cli/doctor-mounts.ts';
import { loadConfig } from '../../src/host/config-load.ts';
import { writePoison } from '../../src/storage/poison-file.ts';
import { putBase, storeTenant } from './backup-fixture.ts';
import { newFolder } from './command-fixture.ts';

describe('mounts', () => {
  const mountinfo = [
    '22 1 8:1 / / rw,relatime shared:1 master:2 - ext4 /dev/sda1 rw',
    '23 22 0:40 / /srv rw - nfs4 host:/x rw,vers=4.2',
    '24 22 8:17 / /srv/my\\040data ro,relatime - xfs /dev/sdb1 rw',
    '25 22 0:41 / /srvx rw - tmpfs tmpfs rw',
    '26 22 0:42 / / rw - btrfs /dev/sdc rw',
    '',
  ].join('\n');

  test('a path is held by the longest point above it, by the later of two', () => {
    expect(mountOf(mountinfo, '/home')).toEqual({ type: 'btrfs', source: '/dev/sdc', readOnly: false });
    expect(mountOf(mountinfo, '/srv/other')?.type).toBe('nfs4');
    expect(mountOf(mountinfo, '/srvx/y')?.type).toBe('tmpfs');
    expect(mountOf('', '/home')).toBeUndefined();
  });

  test('blanks in a point are read, and so is that it is for reading only', () => {
    expect(mountOf(mountinfo, '/srv/my data/x')).toEqual({ type: 'xfs', source: '/dev/sdb1', readOnly: true });
  });
});

describe('folders', () => {
  test('one that is there is told with its owner and mode, through a link too', () => {
    const folder = newFolder();
    chmodSync(folder, 0o750);
    const link = join(newFolder(), 'link');
    symlinkSync(folder, link);
    for (const path of [folder, link])
      expect(lookAtFolder(path)).toMatchObject({
        kind: 'folder',
        mode: 0o750,
        uid: process.getuid?.(),
        writable: true,
      });
  });

  test('one that is not there yet is judged by where it would be, and not made', () => {
    const folder = newFolder();
    const seen = lookAtFolder(join(folder, 'a', 'b'));
    expect(seen).toMatchObject({ kind: 'missing', writable: true, device: lookAtFolder(folder).device });
  });

  test('a file is no folder, and nothing can lie below it', () => {
    const file = join(newFolder(), 'file');
    writeFileSync(file, '');
    expect(lookAtFolder(file).kind).toBe('other');
    expect(lookAtFolder(join(file, 'x'))).toMatchObject({ kind: 'missing', writable: false });
  });
});

describe('keys', () => {
  const { config } = loadConfig({ flags: new Map(), env: {} }, { names: [] });

  async function answering(status: number, body: string): Promise<string> {
    const server = createServer((_, response) => response.writeHead(status, { location: '/other' }).end(body));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
  }

  test('are fetched from their address', async () => {
    const jwksUrl = await answering(200, '{"keys":[{"kty":"RSA"}]}');
    expect(await readKeySet({ ...config.auth, jwksUrl })).toEqual({ keys: [{ kty: 'RSA' }] });
  });

  test.each([
    [500, '', /500/],
    [302, '', /302/],
    [200, 'hello', /JSON/],
    [200, '{"key":[]}', /holds no/],
    [200, `{"keys":[]}${' '.repeat(1024 * 1024)}`, /more than/],
  ])('an answer of %i with other things is a problem', async (status, body, problem) => {
    const jwksUrl = await answering(status, body);
    expect(await readKeySet({ ...config.auth, jwksUrl })).toEqual({ problem: expect.stringMatching(problem) });
  });

  test('an address where nobody is says so', async () => {
    const set = await readKeySet({ ...config.auth, jwksUrl: 'http://127.0.0.1:1/keys' });
    expect(set).toEqual({ problem: expect.stringMatching(/fetch failed/) });
  });

  test('are read from a file', async () => {
    const jwksFile = join(newFolder(), 'keys.json');
    writeFileSync(jwksFile, '{"keys":[]}');
    expect(await readKeySet({ ...config.auth, jwksFile })).toEqual({ keys: [] });
    expect(await readKeySet(config.auth)).toBeUndefined();
  });
});

describe('the app', () => {
  test('is loaded, and its actors are told with their durability', async () => {
    const app = await lookAtApp('test/support/apps/ledger.ts', 256);
    expect(app).toMatchObject({ kind: 'loaded' });
    expect(JSON.stringify(app)).toContain('{"type":"counter","durability":"durable"}');
  });

  test.each([
    ['process.exit(3);', /ended with code 3/],
    ['throw new Error("no database");', /no database/],
    ['export const x = 1;', /exports no app/],
  ])('a module that says %s takes only its thread along', async (text, message) => {
    const path = join(newFolder(), 'app.js');
    writeFileSync(path, text);
    const app = await lookAtApp(path, 256);
    expect(app).toMatchObject({
      kind: 'failed',
      message: expect.stringMatching(message),
      hint: expect.stringMatching(/./),
    });
  });
});

test('a module that never lets go of its thread is given up', async () => {
  const path = join(newFolder(), 'app.js');
  writeFileSync(path, 'for (;;);');
  const app = await lookAtApp(path, 256, 500);
  expect(app).toMatchObject({ kind: 'failed', message: 'it was still not loaded after 500 ms' });
});

describe('backups and left-overs', () => {
  test('the newest good base of each tenant is found, and damaged ones are counted', async () => {
    const dataDir = newFolder();
    const backupDir = newFolder();
    for (const tenant of ['acme', 'bolt', 'new']) storeTenant(dataDir, tenant, { c: 1 });
    await putBase(backupDir, dataDir, 'acme', Date.UTC(2026, 0, 1));
    await putBase(backupDir, dataDir, 'acme', Date.UTC(2026, 0, 2));
    await putBase(backupDir, dataDir, 'bolt', Date.UTC(2026, 0, 1));
    const torn = await putBase(backupDir, dataDir, 'bolt', Date.UTC(2026, 0, 3));
    writeFileSync(join(backupDir, `${torn}.db`), 'half');
    const scratched = await putBase(backupDir, dataDir, 'bolt', Date.UTC(2026, 0, 2));
    writeFileSync(join(backupDir, `${scratched}.json`), '{}');
    utimesSync(join(dataDir, 'tenants', 'new', 'tenant.db'), 1, 1000);
    expect(await lookAtBackups(dataDir, backupDir)).toMatchObject({
      tenants: [
        { tenant: 'acme', baseMs: Date.UTC(2026, 0, 2), damaged: 0 },
        { tenant: 'bolt', baseMs: Date.UTC(2026, 0, 1), damaged: 2 },
        { tenant: 'new', baseMs: undefined, damaged: 0, changedMs: 1_000_000 },
      ],
    });
  });

  test('a base that holds every commit is good, though the file was tidied up since', async () => {
    const dataDir = newFolder();
    const backupDir = newFolder();
    for (const tenant of ['acme', 'bolt']) {
      storeTenant(dataDir, tenant, { c: 1 });
      await putBase(backupDir, dataDir, tenant, Date.UTC(2026, 0, 1));
    }
    storeTenant(dataDir, 'bolt', { d: 1 });
    const tidiedMs = Date.UTC(2026, 0, 2);
    for (const tenant of ['acme', 'bolt'])
      utimesSync(join(dataDir, 'tenants', tenant, 'tenant.db'), tidiedMs / 1000, tidiedMs / 1000);
    const facts = await lookAtBackups(dataDir, backupDir);
    expect(facts).toMatchObject({
      tenants: [
        { tenant: 'acme', changedMs: Date.UTC(2026, 0, 1) },
        { tenant: 'bolt', changedMs: tidiedMs },
      ],
    });
    expect(judgeBackupAge(3_600_000, facts, Date.UTC(2026, 0, 9))).toMatchObject({
      status: 'fail',
      message: expect.not.stringContaining('acme') as string,
    });
  });

  test('without data and without backups there is nothing to tell', async () => {
    const folder = newFolder();
    expect(await lookAtBackups(join(folder, 'data'), join(folder, 'backups'))).toEqual({ tenants: [] });
    const nothing = { closedTenants: [], closedCalls: 0, asideNames: [], restores: [] };
    expect(await lookForLeftOvers(join(folder, 'data'))).toEqual(nothing);
  });

  test('what was closed off or left is found', async () => {
    const dataDir = newFolder();
    storeTenant(dataDir, 'acme', { c: 1 });
    writeFileSync(join(dataDir, 'tenants', 'acme', 'QUARANTINED'), '{"reason":"damaged","at":""}');
    const call = { tenant: 'acme', actor: 'c', actorId: '1', method: 'm', key: '', since: '2026-01-01T00:00:00.000Z' };
    writePoison(dataDir, [{ fingerprint: 'f', ...call }]);
    mkdirSync(join(dataDir, 'quarantine', 'acme-20260101'));
    mkdirSync(join(dataDir, 'restore-acme-7-0a1b2c3d'));
    expect(await lookForLeftOvers(dataDir)).toEqual({
      closedTenants: ['acme'],
      closedCalls: 1,
      asideNames: ['acme-20260101'],
      restores: ['restore-acme-7-0a1b2c3d'],
    });
    writeFileSync(join(dataDir, 'quarantine', 'calls.json'), 'x');
    expect(await lookForLeftOvers(dataDir)).toEqual({ problem: expect.stringContaining('calls.json') });
  });
});
