import Database from 'better-sqlite3';
import { existsSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { JournalEntry } from '../../src/storage/contract.ts';
import { encodeEntries } from '../../src/storage/entry.ts';
import { readActor } from '../../src/storage/inspect.ts';
import type { KeeperCore } from '../../src/storage/keeper.ts';
import { dataPaths } from '../../src/storage/paths.ts';
import { recover } from '../../src/storage/recovery.ts';
import {
  address,
  codeOf,
  okCall,
  openCore,
  openJournal,
  patchEntry,
  silentLog,
  stateEntry,
  stateOf,
  steppedClock,
  temporaryDirectory,
} from './fixtures.ts';

const c1 = address('c1');
const other = address('c1', 'other');

describe('a tenant whose file cannot be written', () => {
  it('is announced as read-only, also to a shard that comes late, until it can be written again', () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir);
    const told: string[] = [];
    core.attach(0, { readOnly: (tenant, readOnly) => told.push(`${tenant} ${readOnly}`) });
    give(core, 1, [stateEntry(c1, 1, 1), stateEntry(other, 1, 1)]);
    const mend = breakFile(dataDir);
    core.flush();
    core.flush();
    expect(told).toEqual(['acme true']);
    core.attach(1, { readOnly: (tenant, readOnly) => told.push(`late: ${tenant} ${readOnly}`) });
    expect(told.slice(1)).toEqual(['late: acme true']);
    mend();
    core.flush();
    expect(told.slice(2)).toEqual(['acme false', 'late: acme false']);
    core.attach(2, { readOnly: () => expect.fail('all is well') });
  });

  it('holds up no journal for longer than some seconds, and is answered all the same', () => {
    const dataDir = temporaryDirectory();
    const clock = steppedClock();
    const core = openCore(dataDir, {}, clock);
    give(core, 1, [stateEntry(c1, 1, [1], okCall('k1', 1)), stateEntry(other, 1, 1)]);
    const mend = breakFile(dataDir);
    core.flush();
    clock.passS(4);
    core.flush();
    expect(core.synced(0)).toBe(0);
    clock.passS(1);
    expect(core.flush()).toBe(false);
    expect(core.synced(0)).toBe(1);
    // What comes after that is spilled as well, each entry once.
    give(core, 2, [push(2), stateEntry(other, 2, 2)]);
    give(core, 3, [push(3, okCall('k3', 3))]);
    core.flush();
    core.flush();
    expect(core.synced(0)).toBe(3);
    const lying = spilled(dataDir) as string[];
    expect(
      lying.map((entry) => [...entry.matchAll(/,(\d+),1,"(?:state|patches)"|"(k\d)"/g)].map((m) => m[1] ?? m[2])),
    ).toEqual([['1'], ['k1'], ['2'], ['3', 'k3']]);
    mend();
    expect(core.load(c1)).toMatchObject({ seq: 3, state: '[1,2,3]', hasOutcomes: true });
    expect(core.outcome(c1, 'k1')).toMatchObject({ outcome: { result: '1' } });
    expect(core.flush()).toBe(true);
    expect(spilled(dataDir)).toEqual([]);
    core.close();
    expectWhole(openCore(dataDir), [1, 2, 3]);
  });

  it('loses nothing by a restart in between, and applies nothing twice', () => {
    const dataDir = temporaryDirectory();
    const clock = steppedClock();
    const core = openCore(dataDir, {}, clock);
    const journal = openJournal(dataDir);
    core.attach(0, { synced: (journalSeq) => journal.forget(journalSeq) });
    core.committed(0, journal.commit([stateEntry(c1, 1, [1], okCall('k1', 1))], 'durable'));
    core.committed(0, journal.commit([push(2)], 'durable'));
    const mend = breakFile(dataDir);
    core.flush();
    clock.passS(5);
    core.flush();
    expect(journal.unsyncedBytes).toBe(0);
    core.committed(0, journal.commit([push(3, okCall('k3', 3))], 'durable'));
    journal.close();

    // Still broken: once more from the spilled entries and the journal, into which the rest goes on.
    const second = openCore(dataDir, {}, clock);
    expect(recover(dataDir, second, 1, silentLog)).toMatchObject({ rows: 1, pending: true });
    const told: string[] = [];
    second.attach(0, { readOnly: (tenant, readOnly) => told.push(`${tenant} ${readOnly}`) });
    expect(told).toEqual(['acme true']);
    clock.passS(5);
    second.flush();
    expect(second.synced(0)).toBe(3);
    const again = openJournal(dataDir);
    again.forget(3);
    again.close();
    mend();

    // Mended while no process ran; and killed after the tenant's write, before the spilled entries were dropped.
    const copy = join(temporaryDirectory(), 'spilled.db');
    new Database(dataPaths(dataDir).spilled).exec(`VACUUM INTO '${copy}'`).close();
    for (let start = 0; start < 3; start += 1) {
      const third = openCore(dataDir);
      expect(recover(dataDir, third, 1, silentLog)).toMatchObject({ rows: 0, pending: false });
      expect(spilled(dataDir)).toEqual([]);
      expectWhole(third, [1, 2, 3]);
      if (start > 0) continue;
      give(third, 4, [patchEntry(c1, 4, [{ op: 'replace', path: '', value: [1, 2, 3] }])], 7);
      third.close();
      for (const suffix of ['-wal', '-shm']) rmSync(dataPaths(dataDir).spilled + suffix, { force: true });
      const db = new Database(copy);
      db.pragma('journal_mode = WAL');
      db.close();
      renameSync(copy, dataPaths(dataDir).spilled);
    }
  });

  it('is shown by an inspection with what was spilled', () => {
    const dataDir = temporaryDirectory();
    const { mend } = withSpilled(dataDir);
    mend();
    expect(readActor(dataDir, 'acme', 'counter', 'c1')).toMatchObject({
      state: '[1]',
      outcomes: 1,
      readFrom: 'journal',
    });
  });

  it('leaves its rows in the journals when more would be spilled than may be', () => {
    const dataDir = temporaryDirectory();
    const clock = steppedClock();
    const core = openCore(dataDir, { journalBytesMax: 2000 }, clock);
    const mend = breakFile(dataDir);
    give(core, 1, [stateEntry(c1, 1, 'x'.repeat(1000))]);
    core.flush();
    clock.passS(5);
    core.flush();
    expect(core.synced(0)).toBe(1);
    give(core, 2, [stateEntry(c1, 2, 'y'.repeat(1000))]);
    core.flush();
    expect(core.synced(0)).toBe(1);
    mend();
    expect(core.flush()).toBe(true);
    expect(core.synced(0)).toBe(2);
    expect(stateOf(core, c1)).toBe('y'.repeat(1000));
  });

  it('keeps its place in the journal while that alone says that an actor is damaged', () => {
    const dataDir = temporaryDirectory();
    const clock = steppedClock();
    const core = openCore(dataDir, {}, clock);
    const mend = breakFile(dataDir);
    core.committed(0, { journalSeq: 1, body: encodeEntries([stateEntry(address('c2'), 1, 2)]) }, [
      { address: c1, text: 'what was found' },
    ]);
    core.flush();
    clock.passS(9);
    core.flush();
    expect(core.synced(0)).toBe(0);
    mend();
    core.flush();
    expect(core.synced(0)).toBe(1);
    expect(codeOf(() => openCore(dataDir).load(c1))).toBe('QUARANTINED');
  });

  it('is written within two seconds after it can be, without holding up the others meanwhile', async () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir, { keeperDelayMs: 1 });
    const mend = breakFile(dataDir);
    const readOnly: boolean[] = [];
    let changed: () => void = () => undefined;
    core.attach(0, { readOnly: (_, on) => [readOnly.push(on), changed()] });
    const next = () => new Promise<void>((resolve) => (changed = resolve));
    const failed = next();
    give(core, 1, [stateEntry(c1, 1, 1)]);
    await failed;
    const synced = new Promise((resolve) => core.attach(1, { synced: resolve }));
    give(core, 1, [stateEntry(other, 1, 1)], 1);
    expect(await synced).toBe(1);
    expect(readOnly).toEqual([true]);
    const works = next();
    mend();
    await works;
    expect(readOnly).toEqual([true, false]);
    expect(stateOf(openCore(dataDir), c1)).toBe(1);
  });
});

describe('damage in the file of spilled entries', () => {
  it('in one entry closes its tenant off, and no other', () => {
    const dataDir = temporaryDirectory();
    const { mend } = withSpilled(dataDir);
    mend();
    const db = new Database(dataPaths(dataDir).spilled);
    db.exec("UPDATE held SET entry = replace(entry, '[1]', '[2]')");
    db.close();
    const core = openCore(dataDir);
    recover(dataDir, core, 1, silentLog);
    expect(codeOf(() => core.load(c1))).toBe('QUARANTINED');
    expect(stateOf(core, other)).toBe(1);
  });

  it.each([
    ['an empty file', (path: string) => truncateSync(path, 0)],
    ['a file that is none', (path: string) => writeFileSync(path, 'x'.repeat(9000))],
    ['no name', (path: string) => new Database(path).exec("UPDATE held SET tenant = '?'").close()],
  ])('that nobody can bound closes every tenant off: %s', (_, damage) => {
    const dataDir = temporaryDirectory();
    const { mend } = withSpilled(dataDir);
    mend();
    damage(dataPaths(dataDir).spilled);
    const core = openCore(dataDir);
    recover(dataDir, core, 1, silentLog);
    for (const at of [c1, other]) expect(codeOf(() => core.load(at))).toBe('QUARANTINED');
    expect(existsSync(dataPaths(dataDir).spilled)).toBe(false);
  });
});

function give(core: KeeperCore, journalSeq: number, entries: readonly JournalEntry[], shard = 0): void {
  core.committed(shard, { journalSeq, body: encodeEntries(entries) });
}

function push(seq: number, call?: JournalEntry['call']): JournalEntry {
  return patchEntry(c1, seq, [{ op: 'add', path: '/-', value: seq }], call);
}

/** From now on acme's file refuses writes, whoever opens it. @returns ends that */
function breakFile(dataDir: string): () => void {
  const core = openCore(dataDir);
  give(core, 1, [stateEntry(address('c0'), 1, 'so that there is a file')]);
  core.close();
  const write = (sql: string) => new Database(join(dataDir, 'tenants/acme/tenant.db')).exec(sql).close();
  const refuse = "BEGIN SELECT RAISE(ABORT, 'input/output error'); END";
  write(`CREATE TRIGGER a BEFORE INSERT ON actors ${refuse}; CREATE TRIGGER b BEFORE INSERT ON calls ${refuse};`);
  return () => write('DROP TRIGGER a; DROP TRIGGER b');
}

/** A stopped process's directory: acme's entries lie spilled, and in no journal. */
function withSpilled(dataDir: string): { mend: () => void } {
  const clock = steppedClock();
  const core = openCore(dataDir, {}, clock);
  const mend = breakFile(dataDir);
  give(core, 1, [stateEntry(c1, 1, [1], okCall('k1', 1)), stateEntry(other, 1, 1)]);
  core.flush();
  clock.passS(5);
  core.flush();
  expect(core.synced(0)).toBe(1);
  core.close();
  return { mend };
}

function expectWhole(core: KeeperCore, state: unknown): void {
  expect(stateOf(core, c1)).toEqual(state);
  for (const key of ['k1', 'k3'])
    expect(core.outcome(c1, key)).toMatchObject({ outcome: { kind: 'ok', result: key.slice(1) } });
}

function spilled(dataDir: string): unknown[] {
  const db = new Database(dataPaths(dataDir).spilled, { readonly: true });
  try {
    return db.prepare('SELECT entry FROM held ORDER BY n').pluck().all();
  } finally {
    db.close();
  }
}
