import Database from 'better-sqlite3';
import { cpSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { JournalEntry } from '../../src/storage/contract.ts';
import type { KeeperCore } from '../../src/storage/keeper.ts';
import { journalPath } from '../../src/storage/paths.ts';
import { recover, recoverShard } from '../../src/storage/recovery.ts';
import {
  address,
  okCall,
  openCore,
  openJournal,
  patchEntry,
  silentLog,
  stateEntry,
  stateOf,
  temporaryDirectory,
} from './fixtures.ts';

const c1 = address('c1');
const c2 = address('c2', 'b-2');

describe('recovery', () => {
  it('takes the newest state of an actor that lies in two journals, whichever is read first', () => {
    const dataDir = temporaryDirectory();
    // Of two shards before, and of the one that is left: killed before everything of journal 1 was in its file.
    const former = openJournal(dataDir, 1);
    for (const n of [1, 2]) former.commit([stateEntry(c1, n, { n })], 'durable');
    former.close();
    const present = openJournal(dataDir, 0);
    present.commit([stateEntry(c1, 3, { n: 3 })], 'durable');
    present.close();
    const core = openCore(dataDir);
    recover(dataDir, core, 1, silentLog);
    expect(stateOf(core, c1)).toEqual({ n: 3 });
    core.close();
    expect(stateOf(openCore(dataDir), c1)).toEqual({ n: 3 });
  });

  it('brings what was committed and never handed over into the tenant files', () => {
    const dataDir = temporaryDirectory();
    write(dataDir, 0, [
      [stateEntry(c1, 1, [1], okCall('k', 1))],
      [patchEntry(c1, 2, [{ op: 'add', path: '/-', value: 2 }])],
    ]);
    write(dataDir, 1, [[stateEntry(c2, 1, 'b')]]);
    const core = openCore(dataDir);
    const recovered = recover(dataDir, core, 2, silentLog);
    expect(recovered).toMatchObject({ rows: 3, actors: 2, pending: false });
    expectAll(core);
    expect(openJournal(dataDir, 0).unsyncedBytes).toBe(0);
    expect(openJournal(dataDir, 0).lastSeq).toBe(2);
    expectAll(openCore(dataDir));
  });

  it('says how far it is, in rows of all journals together', () => {
    const dataDir = temporaryDirectory();
    for (const [shard, rows] of [700, 300].entries()) {
      const journal = openJournal(dataDir, shard);
      for (let n = 1; n <= rows; n += 1) journal.commit([stateEntry(address(`s${shard}`), n, n)], 'process');
      journal.close();
    }
    const seen: [number, number][] = [];
    recover(dataDir, openCore(dataDir), 2, silentLog, (done, total) => seen.push([done, total]));
    expect(seen).toEqual([0, 256, 512, 768, 1000].map((done) => [done, 1000]));
  });

  it('starts on a new directory', () => {
    const dataDir = temporaryDirectory();
    expect(recover(dataDir, openCore(dataDir), 2, silentLog)).toMatchObject({ rows: 0, actors: 0, pending: false });
    expect(readdirSync(dataDir)).toEqual(['journal']);
  });

  it('removes the journals of a larger shard count once their content is safe, and keeps the others', () => {
    const dataDir = temporaryDirectory();
    write(dataDir, 0, [[stateEntry(c1, 1, [1], okCall('k', 1))]]);
    write(dataDir, 3, [[patchEntry(c1, 2, [{ op: 'add', path: '/-', value: 2 }]), stateEntry(c2, 1, 'b')]]);
    const core = openCore(dataDir);
    recover(dataDir, core, 2, silentLog);
    expectAll(core);
    expect(readdirSync(join(dataDir, 'journal'))).toEqual(['0.db', '0.db-mark']);
  });

  it('puts an actor together whose entries lie in two journals, in whatever order they are read', () => {
    const dataDir = temporaryDirectory();
    write(dataDir, 0, [[patchEntry(c1, 2, [{ op: 'add', path: '/-', value: 2 }])]]);
    write(dataDir, 1, [[stateEntry(c1, 1, [1], okCall('k', 1)), stateEntry(c2, 1, 'b')]]);
    const core = openCore(dataDir);
    recover(dataDir, core, 2, silentLog);
    expectAll(core);
  });

  it('comes to the same end from every place where it may be killed', () => {
    const dataDir = temporaryDirectory();
    write(dataDir, 0, [
      [stateEntry(c1, 1, [1], okCall('k', 1))],
      [patchEntry(c1, 2, [{ op: 'add', path: '/-', value: 2 }])],
    ]);
    write(dataDir, 5, [[stateEntry(c2, 1, 'b')]]);
    // Nobody closed anything: journals before, tenant files written, one journal emptied, the other deleted.
    const before = copyOf(dataDir);
    const core = openCore(dataDir);
    recover(dataDir, core, 1, silentLog);
    const after = copyOf(dataDir);
    const applied = copyOf(dataDir);
    cpSync(join(before, 'journal'), join(applied, 'journal'), { recursive: true, force: true });
    const halfEmptied = copyOf(dataDir);
    cpSync(join(before, 'journal/5.db'), join(halfEmptied, 'journal/5.db'));
    for (const killed of [before, applied, halfEmptied, after]) {
      for (let start = 0; start < 2; start += 1) {
        const again = openCore(killed);
        recover(killed, again, 1, silentLog);
        expectAll(again);
        again.close();
      }
      expect(readdirSync(join(killed, 'journal'))).toEqual(['0.db', '0.db-mark']);
    }
  });

  it('clears away a file that was being made when the process died', () => {
    const dataDir = temporaryDirectory();
    recover(dataDir, openCore(dataDir), 1, silentLog);
    writeFileSync(join(dataDir, 'journal/0.db.new'), 'half');
    recover(dataDir, openCore(dataDir), 1, silentLog);
    expect(readdirSync(join(dataDir, 'journal'))).toEqual([]);
  });

  it('starts although a tenant file cannot be written, and loses nothing by it', () => {
    const dataDir = temporaryDirectory();
    write(dataDir, 0, [[stateEntry(c1, 1, [1], okCall('k', 1)), stateEntry(c2, 1, 'b')]]);
    recover(dataDir, openCore(dataDir), 1, silentLog);
    const other = new Database(join(dataDir, 'tenants/acme/tenant.db'));
    other.exec("CREATE TRIGGER full BEFORE UPDATE ON actors BEGIN SELECT RAISE(ABORT, 'disk is full'); END");
    write(dataDir, 0, [[patchEntry(c1, 2, [{ op: 'add', path: '/-', value: 2 }])]]);
    const core = openCore(dataDir);
    expect(recover(dataDir, core, 1, silentLog)).toMatchObject({ pending: true });
    expectAll(core);
    const journal = openJournal(dataDir, 0);
    expect(journal.unsyncedBytes).toBeGreaterThan(0);
    other.exec('DROP TRIGGER full');
    other.close();
    core.flush();
    core.attach(0, { synced: (journalSeq) => journal.forget(journalSeq), quarantined: () => undefined });
    expect(journal.unsyncedBytes).toBe(0);
    expectAll(openCore(dataDir));
  });

  it('removes a journal of a former count later, when its content could not be written at once', () => {
    const dataDir = temporaryDirectory();
    write(dataDir, 0, [[stateEntry(c1, 1, [1], okCall('k', 1)), stateEntry(c2, 1, 'b')]]);
    recover(dataDir, openCore(dataDir), 1, silentLog);
    const other = new Database(join(dataDir, 'tenants/acme/tenant.db'));
    other.exec("CREATE TRIGGER full BEFORE UPDATE ON actors BEGIN SELECT RAISE(ABORT, 'disk is full'); END");
    write(dataDir, 4, [[patchEntry(c1, 2, [{ op: 'add', path: '/-', value: 2 }])]]);
    const core = openCore(dataDir);
    expect(recover(dataDir, core, 1, silentLog)).toMatchObject({ pending: true });
    expect(existsSync(journalPath(dataDir, 4))).toBe(true);
    other.exec('DROP TRIGGER full');
    other.close();
    core.flush();
    expect(existsSync(journalPath(dataDir, 4))).toBe(false);
    expectAll(core);
  });

  it('refuses to start on a journal of a newer version, with one clear line', () => {
    const dataDir = temporaryDirectory();
    write(dataDir, 0, [[stateEntry(c1, 1, 1)]]);
    const db = new Database(journalPath(dataDir, 0));
    db.pragma('user_version = 99');
    db.close();
    expect(() => recover(dataDir, openCore(dataDir), 1, silentLog)).toThrow(
      /0\.db is a journal of version 99, this program knows versions up to 3: start the newer/,
    );
    expect(existsSync(journalPath(dataDir, 0))).toBe(true);
  });

  it('of a single shard gives no number twice when its journal lost rows that the keeper has', () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir);
    recover(dataDir, core, 1, silentLog);
    const journal = openJournal(dataDir, 0);
    core.committed(0, journal.commit([stateEntry(c1, 1, [1], okCall('k', 1))], 'durable'));
    core.committed(0, journal.commit([stateEntry(c2, 1, 'b')], 'durable'));
    journal.close();
    const other = new Database(journalPath(dataDir, 0));
    other.exec('DELETE FROM rows WHERE journal_seq = 2');
    other.close();
    recoverShard(dataDir, core, 0, silentLog);
    const again = openJournal(dataDir, 0);
    core.committed(0, again.commit([patchEntry(c1, 2, [{ op: 'add', path: '/-', value: 2 }])], 'durable'));
    expectAll(core);
    core.flush();
    expectAll(openCore(dataDir));
  });

  it('of a single shard hands over what the keeper has not got', () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir);
    recover(dataDir, core, 1, silentLog);
    const journal = openJournal(dataDir, 0);
    core.committed(0, journal.commit([stateEntry(c1, 1, [1], okCall('k', 1))], 'durable'));
    journal.commit([patchEntry(c1, 2, [{ op: 'add', path: '/-', value: 2 }]), stateEntry(c2, 1, 'b')], 'durable');
    journal.abandon();
    expect(recoverShard(dataDir, core, 0, silentLog)).toEqual({ rows: 1 });
    expect(recoverShard(dataDir, core, 0, silentLog)).toEqual({ rows: 0 });
    expect(recoverShard(dataDir, core, 7, silentLog)).toEqual({ rows: 0 });
    expectAll(core);
  });
});

function expectAll(core: KeeperCore): void {
  expect(stateOf(core, c1)).toEqual([1, 2]);
  expect(core.load(c1).seq).toBe(2);
  expect(core.outcome(c1, 'k')).toMatchObject({ outcome: { kind: 'ok', result: '1' } });
  expect(stateOf(core, c2)).toBe('b');
}

function write(dataDir: string, shard: number, rows: readonly JournalEntry[][]): void {
  const journal = openJournal(dataDir, shard);
  for (const row of rows) journal.commit(row, 'durable');
  journal.close();
}

/** All files as a killed process would leave them. */
function copyOf(dataDir: string): string {
  const copy = temporaryDirectory();
  cpSync(dataDir, copy, { recursive: true });
  return copy;
}
