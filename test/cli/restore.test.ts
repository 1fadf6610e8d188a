/** What `fermata restore` builds, what it refuses, what it tells; the exchange itself is its server's. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/host/clock.ts';
import { listActors, readActor } from '../../src/storage/inspect.ts';
import { Quarantine } from '../../src/storage/quarantine.ts';
import { putBase, putSegment, rememberingSwap, storeTenant, withOperations } from './backup-fixture.ts';
import { newFolder } from './command-fixture.ts';

const baseMs = Date.parse('2026-11-21T10:00:00.000Z');
const at = (second: number) => `2026-11-21T10:00:${String(second).padStart(2, '0')}.000Z`;

/** Where backups of acme lie: c1 is 1 and c2 is 2 in the base; the log counts c1 up, once every ten seconds. */
let dir: string;
/** An empty data directory. */
let dataDir: string;

beforeEach(async () => {
  dir = join(newFolder(), 'backups');
  dataDir = join(newFolder(), 'data');
  const origin = newFolder();
  storeTenant(origin, 'acme', { c1: 1, c2: 2 });
  await putBase(dir, origin, 'acme', baseMs, 1);
  const records = [
    [baseMs + 10_000, 'c1', 2, 10],
    [baseMs + 20_000, 'c1', 3, 20],
  ] as const;
  await putSegment(dir, 'acme', 1, 'start', records, baseMs - 1000);
});

const restore = (words: readonly string[], operations: Parameters<typeof withOperations>[1] = {}) =>
  withOperations(['restore', '--data-dir', dataDir, '--from', dir, ...words], operations);

/** The counters in a built file, by id. */
function counters({ tenant, file }: { tenant: string; file: string }): Record<string, unknown> {
  const root = join(file, '../../..');
  return Object.fromEntries(
    listActors(root, tenant).map(({ type, id }) => [id, JSON.parse(readActor(root, tenant, type, id).state ?? '')]),
  );
}

const leftOvers = () => readdirSync(dataDir).filter((name) => name.startsWith('restore-'));

describe('a restore', () => {
  test('gives the newest there is, and leaves nothing beside it', async () => {
    const { asked, seen, swap } = rememberingSwap(counters);
    const { exitCode, out, err, closed } = await restore(['--tenant', 'acme'], { swap });
    expect({ exitCode, err, closed }).toEqual({ exitCode: 0, err: '', closed: 1 });
    expect(seen).toEqual([{ c1: { count: 20 }, c2: { count: 2 } }]);
    expect(asked).toEqual([
      {
        tenant: 'acme',
        replace: false,
        file: expect.stringMatching(
          `^${realpathSync(dataDir)}/restore-acme-${process.pid}-[0-9a-f]{8}/tenants/acme/tenant.db$`,
        ),
      },
    ]);
    expect(out).toContain('restored tenant acme: 2 actors');
    expect(out).toContain(`as of ${at(20)}, from base acme/base/20261121T100000000Z.db with 2 records of the log`);
    expect(out).toContain('what was there before lies in /data/quarantine/aside');
    expect(leftOvers()).toEqual([]);
  });

  test('goes back to the second that is asked for, in whatever zone it is written', async () => {
    for (const text of [at(15), '2026-11-21T11:00:15+01:00']) {
      const { seen, swap } = rememberingSwap(counters);
      const { exitCode } = await restore(['--tenant', 'acme', '--at', text], { swap });
      expect({ exitCode, seen }).toEqual({ exitCode: 0, seen: [{ c1: { count: 10 }, c2: { count: 2 } }] });
    }
  });

  test('goes beside the live tenant under another name', async () => {
    storeTenant(dataDir, 'acme', { c1: 100 });
    const { asked, seen, swap } = rememberingSwap(counters);
    const { exitCode, out } = await restore(['--tenant', 'acme', '--as', 'acme-before', '--json'], { swap });
    expect(exitCode).toBe(0);
    expect(asked).toMatchObject([{ tenant: 'acme-before', replace: false }]);
    expect(seen).toEqual([{ c1: { count: 20 }, c2: { count: 2 } }]);
    expect(JSON.parse(out)).toMatchObject({
      tenant: 'acme',
      into: 'acme-before',
      actor: null,
      base: 'acme/base/20261121T100000000Z.db',
      records: 2,
      reaches: at(20),
      actors: 2,
      quarantined: [],
      movedTo: '/data/quarantine/aside',
    });
  });

  test('of one actor asks for this one alone', async () => {
    storeTenant(dataDir, 'acme', { c1: 100 });
    const { asked, swap } = rememberingSwap();
    const { exitCode, out } = await restore(['--tenant', 'acme', '--actor', 'counter/c1', '--replace'], { swap });
    expect(exitCode).toBe(0);
    expect(asked).toMatchObject([{ tenant: 'acme', replace: true, actor: { type: 'counter', id: 'c1' } }]);
    expect(out).toContain('restored actor counter/c1 of tenant acme\n');
    expect(out).not.toContain('before lies in');
  });

  test('of an actor that the backup has not is refused, because it would only take the present one away', async () => {
    storeTenant(dataDir, 'acme', { c9: 100 });
    const { asked, swap } = rememberingSwap();
    const { exitCode, err } = await restore(['--tenant', 'acme', '--actor', 'counter/c9', '--replace'], { swap });
    expect({ exitCode, asked }).toEqual({ exitCode: 1, asked: [] });
    expect(err).toContain('the backup of tenant acme has no actor counter/c9 as of then');
  });

  test('that fails at the end leaves nothing behind', async () => {
    const { exitCode, err, closed } = await restore(['--tenant', 'acme'], {
      swap: async () => {
        expect(leftOvers()).toHaveLength(1);
        throw Object.assign(new Error('tenant "acme" exists'), { name: 'OperationError', hint: 'Give --replace.' });
      },
    });
    expect({ exitCode, err, closed }).toEqual({
      exitCode: 1,
      err: 'fermata: tenant "acme" exists\n  Give --replace.',
      closed: 1,
    });
    expect(leftOvers()).toEqual([]);
  });

  test('clears away what a killed one left, and nothing of one that runs', async () => {
    const dead = spawnSync(process.execPath, ['-e', '']).pid;
    const kept = [`restore-acme-${process.pid}-0123abcd`, 'restore-notes', `restore-acme-${dead}-mine`];
    for (const name of [...kept, `restore-acme-${dead}-0123abcd`]) {
      mkdirSync(join(dataDir, name), { recursive: true });
      writeFileSync(join(dataDir, name, 'file'), '');
    }
    const { exitCode } = await restore(['--tenant', 'acme'], rememberingSwap());
    expect(exitCode).toBe(0);
    expect(leftOvers().sort()).toEqual(kept.sort());
  });
});

describe('what stands in the way', () => {
  test('a tenant that exists is replaced only when that is said', async () => {
    storeTenant(dataDir, 'acme', { c1: 100 });
    const { exitCode, err } = await restore(['--tenant', 'acme']);
    expect(exitCode).toBe(1);
    expect(err).toMatch(/^fermata: tenant acme exists already\n {2}With --replace .* kept aside.*--as <tenant>/);
    const { asked, swap } = rememberingSwap();
    expect((await restore(['--tenant', 'acme', '--replace'], { swap })).exitCode).toBe(0);
    expect(asked).toMatchObject([{ tenant: 'acme', replace: true }]);
  });

  test('a quarantined tenant exists too, and is told that --replace ends its quarantine', async () => {
    storeTenant(dataDir, 'acme', { c1: 100 });
    new Quarantine(dataDir, systemClock).closeTenant('acme', 'a page of it is damaged');
    const { exitCode, err } = await restore(['--tenant', 'acme']);
    expect(exitCode).toBe(1);
    expect(err).toContain('tenant acme exists already, and is quarantined: a page of it is damaged');
    expect(err).toContain('With --replace the backup takes its place and the quarantine ends');
    const actor = await restore(['--tenant', 'acme', '--actor', 'counter/c1', '--replace']);
    expect(actor.exitCode).toBe(1);
    expect(actor.err).toContain('tenant acme is quarantined as a whole');
    expect((await restore(['--tenant', 'acme', '--replace'], rememberingSwap())).exitCode).toBe(0);
  });

  test('an actor that exists is replaced only when that is said, and needs a tenant', async () => {
    const absent = await restore(['--tenant', 'acme', '--actor', 'counter/c1', '--replace']);
    expect(absent.err).toContain('tenant acme is not there, so that no single actor of it can be mended');
    storeTenant(dataDir, 'acme', { c1: 100 });
    const there = await restore(['--tenant', 'acme', '--actor', 'counter/c1']);
    expect(there).toMatchObject({ exitCode: 1 });
    expect(there.err).toContain('actor counter/c1 of acme exists already');
    const { asked, swap } = rememberingSwap();
    expect((await restore(['--tenant', 'acme', '--actor', 'counter/c2'], { swap })).exitCode).toBe(0);
    expect(asked).toMatchObject([{ actor: { type: 'counter', id: 'c2' }, replace: false }]);
  });

  test('no backups at all, none of this tenant, none so old', async () => {
    const nowhere = await withOperations(['restore', '--tenant', 'acme', '--data-dir', dataDir], {});
    expect(nowhere.exitCode).toBe(1);
    expect(nowhere.err).toContain(`there is no folder ${dataDir}/backups with backups`);
    const other = await restore(['--tenant', 'globex']);
    expect(other.exitCode).toBe(1);
    expect(other.err).toContain('no backups of tenant "globex"');
    expect(other.err).toContain('acme');
    const old = await restore(['--tenant', 'acme', '--at', '2026-11-20T00:00:00Z']);
    expect(old.exitCode).toBe(1);
    expect(existsSync(dataDir)).toBe(false);
  });

  test.each([
    [[], 'restore needs --tenant'],
    [['--tenant', 'Acme'], '--tenant: "Acme" is no tenant'],
    [['--tenant', 'acme', '--as', 'a/b'], '--as: "a/b" is no tenant'],
    [['--tenant', 'acme', '--at', '2026-11-21'], '--at: "2026-11-21" is no time'],
    [['--tenant', 'acme', '--at', '2026-11-21T10:15:00'], 'is no time'],
    [['--tenant', 'acme', '--at', '2026-02-30T10:15:00Z'], 'is no time'],
    [['--tenant', 'acme', '--at', '2026-13-01T10:15:00Z'], 'is no time'],
    [['--tenant', 'acme', '--at', '2026-11-21T25:15:00Z'], 'is no time'],
    [['--tenant', 'acme', '--actor', 'counter'], '--actor: "counter" is no actor'],
    [['--tenant', 'acme', '--actor', '/c1'], '--actor: "/c1" is no actor'],
    [['--tenant', 'acme', '--actor', 'counter/c1', '--as', 'x'], '--actor and --as do not go together'],
  ])('the wrong words are told: %j', async (words, sentence) => {
    const { exitCode, err } = await restore(words);
    expect(exitCode).toBe(64);
    expect(err).toContain(sentence);
  });
});

describe('--dry-run', () => {
  test('tells what it would give, and changes nothing', async () => {
    const { exitCode, out } = await restore(['--tenant', 'acme', '--dry-run', '--at', at(15)]);
    expect(exitCode).toBe(0);
    const [, ...lines] = out.split('\n');
    expect(lines).toEqual([
      `from       ${dir}`,
      `asked for  ${at(15)}`,
      expect.stringMatching(
        /^base {7}acme\/base\/20261121T100000000Z\.db, \d+ KiB, finished 2026-11-21T10:00:00\.020Z$/,
      ),
      expect.stringMatching(/^log {8}1 record, .* in 1 segment$/),
      `reaches    ${at(10)}`,
      'there now  no such tenant',
      '',
      'Nothing was changed.',
    ]);
    expect(existsSync(dataDir)).toBe(false);
  });

  test('works over a tenant that exists, and says so; the same to scripts', async () => {
    storeTenant(dataDir, 'acme', { c1: 100 });
    const before = readdirSync(dataDir, { recursive: true });
    const text = await restore(['--tenant', 'acme', '--dry-run']);
    expect(text.out).toContain('there now  the tenant exists; --replace is needed');
    const { exitCode, out } = await restore(['--tenant', 'acme', '--dry-run', '--json']);
    expect(exitCode).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      tenant: 'acme',
      into: 'acme',
      actor: null,
      backups: dir,
      at: null,
      base: { name: 'acme/base/20261121T100000000Z.db', finished: '2026-11-21T10:00:00.020Z' },
      log: { segments: 1, records: 2, bytes: expect.any(Number) },
      reaches: at(20),
      skipped: [],
      exists: true,
      quarantined: null,
    });
    expect(readdirSync(dataDir, { recursive: true })).toEqual(before);
  });
});

test('a damaged base is passed over and told; where nothing else is left, there is no restore', async () => {
  writeFileSync(join(dir, 'acme/base/20261121T100000000Z.db'), 'nothing of ours');
  const { exitCode, err } = await restore(['--tenant', 'acme', '--dry-run']);
  // The log begins with the tenant, so that it is enough.
  expect(exitCode).toBe(0);
  expect(err).toContain('acme/base/20261121T100000000Z.db');
  writeFileSync(join(dir, 'acme/log/00000001.log'), 'nor this');
  const nothing = await restore(['--tenant', 'acme']);
  expect(nothing.exitCode).toBe(1);
  expect(nothing.err).toContain('no base of tenant "acme" can be used');
});
