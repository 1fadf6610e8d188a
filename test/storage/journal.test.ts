import Database from 'better-sqlite3';
import { statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CommitError, type Journal } from '../../src/storage/journal.ts';
import { LostRowsError } from '../../src/storage/lost-rows-error.ts';
import { packRow } from '../../src/storage/journal-row.ts';
import { journalPath } from '../../src/storage/paths.ts';
import { address, openJournal, stateEntry, temporaryDirectory } from './fixtures.ts';

const one = [stateEntry(address('c1'), 1, { count: 1 })];

describe('the journal', () => {
  it('gives back after a reopen what was committed, in order', () => {
    const dataDir = temporaryDirectory();
    const journal = openJournal(dataDir);
    const rows = [journal.commit(one, 'durable'), journal.commit([stateEntry(address('c2'), 1, 'é\n😀')], 'durable')];
    journal.close();
    const again = openJournal(dataDir);
    expect(again.rowsAfter(0)).toEqual(rows);
    expect(again.rowsAfter(1)).toEqual(rows.slice(1));
    expect(rows.map((row) => row.journalSeq)).toEqual([1, 2]);
  });

  it('gives back what was committed when the process died without closing', () => {
    const dataDir = temporaryDirectory();
    const rows = [openJournal(dataDir).commit(one, 'durable')];
    // A second connection sees what a new process would: the file and the WAL.
    expect(openJournal(dataDir).rowsAfter(0)).toEqual(rows);
  });

  it('makes its file for the owner only', () => {
    const dataDir = temporaryDirectory();
    openJournal(dataDir).commit(one, 'durable');
    for (const suffix of ['', '-wal', '-shm'])
      expect(statSync(journalPath(dataDir, 0) + suffix).mode & 0o777).toBe(0o600);
    expect(statSync(`${dataDir}/journal`).mode & 0o777).toBe(0o700);
  });

  it('forgets rows with the next commit, and counts their bytes no more at once', () => {
    const dataDir = temporaryDirectory();
    const journal = openJournal(dataDir);
    for (let n = 0; n < 3; n += 1) journal.commit(one, 'durable');
    const each = journal.unsyncedBytes / 3;
    journal.forget(2);
    expect(journal.unsyncedBytes).toBe(each);
    expect(countRows(dataDir)).toBe(3);
    journal.commit(one, 'durable');
    expect(countRows(dataDir)).toBe(2);
    expect(journal.rowsAfter(0).map((row) => row.journalSeq)).toEqual([3, 4]);
  });

  it('forgets in a quiet moment too, and never past its last row', () => {
    const dataDir = temporaryDirectory();
    const journal = openJournal(dataDir);
    journal.commit(one, 'durable');
    journal.forget(99);
    journal.flush();
    expect(countRows(dataDir)).toBe(0);
    expect(journal.commit(one, 'durable').journalSeq).toBe(2);
  });

  it('goes on counting after a restart with all rows gone', () => {
    const dataDir = temporaryDirectory();
    const journal = openJournal(dataDir);
    for (let n = 0; n < 5; n += 1) journal.commit(one, 'durable');
    journal.forget(5);
    journal.close();
    const again = openJournal(dataDir);
    expect(again.lastSeq).toBe(5);
    expect(again.unsyncedBytes).toBe(0);
    expect(again.commit(one, 'durable').journalSeq).toBe(6);
  });

  it('knows after a restart how many bytes wait', () => {
    const dataDir = temporaryDirectory();
    const journal = openJournal(dataDir);
    journal.commit([stateEntry(address('ü'), 1, 'ä'.repeat(1000))], 'durable');
    const { unsyncedBytes } = journal;
    journal.close();
    expect(openJournal(dataDir).unsyncedBytes).toBeGreaterThanOrEqual(unsyncedBytes);
    expect(unsyncedBytes).toBeGreaterThan(2000);
  });

  it('keeps rows of both durabilities, and syncs the lesser ones with a flush that changes the file', () => {
    const dataDir = temporaryDirectory();
    const journal = openJournal(dataDir);
    journal.commit(one, 'process');
    journal.commit(one, 'durable');
    journal.commit(one, 'process');
    const before = flushes(dataDir);
    journal.flush();
    journal.flush();
    expect(flushes(dataDir)).toBe(before + 1);
    journal.close();
    expect(openJournal(dataDir).rowsAfter(0)).toHaveLength(3);
  });
});

describe('a journal whose commit fails', () => {
  it('says that nothing was written when it failed before the commit, and works on', () => {
    const dataDir = temporaryDirectory();
    const journal = openJournal(dataDir);
    const other = new Database(journalPath(dataDir, 0));
    other.exec("CREATE TRIGGER full BEFORE INSERT ON rows BEGIN SELECT RAISE(ABORT, 'disk is full'); END");
    expect(outcomeOf(journal)).toBe('rolled-back');
    other.exec('DROP TRIGGER full');
    other.close();
    expect(journal.commit(one, 'durable').journalSeq).toBe(1);
  });

  it('says unknown when COMMIT itself fails, and then does nothing until it was reopened', () => {
    const dataDir = temporaryDirectory();
    const journal = openJournal(dataDir);
    journal.commit(one, 'durable');
    journal.forget(1);
    const other = new Database(journalPath(dataDir, 0));
    // A foreign key that is checked at COMMIT only.
    other.exec(`CREATE TABLE parent (n INTEGER PRIMARY KEY); CREATE TABLE child (n REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
      CREATE TRIGGER fail AFTER INSERT ON rows BEGIN INSERT INTO child VALUES (1); END`);
    expect(outcomeOf(journal)).toBe('unknown');
    expect(() => journal.commit(one, 'durable')).toThrow(/reopen/);
    other.exec('DROP TRIGGER fail');
    other.close();
    expect(journal.reopen()).toEqual([]);
    expect(journal.unsyncedBytes).toBe(0);
    expect(journal.commit(one, 'durable').journalSeq).toBe(2);
  });

  it('hands over rows that turn out to be on disk', () => {
    const dataDir = temporaryDirectory();
    const journal = openJournal(dataDir);
    journal.commit(one, 'durable');
    const row = packRow(2, 7, one);
    const other = new Database(journalPath(dataDir, 0));
    other.prepare('INSERT INTO rows VALUES (2, ?, ?, ?, ?)').run(row.toc, row.tocCrc, row.body, row.crc);
    other.close();
    expect(journal.reopen()).toEqual([{ journalSeq: 2, atMs: 7, body: row.body }]);
    expect(journal.reopen()).toEqual([]);
    expect(journal.commit(one, 'durable').journalSeq).toBe(3);
  });

  it.each([
    ['rows that were safe elsewhere', 3, 0],
    ['rows that were not', 1, 2],
    ['all of them', 0, 3],
  ])(
    'stays closed when it finds that its last rows are gone, then goes on after their numbers: %s',
    (_, safeTo, lost) => {
      const dataDir = temporaryDirectory();
      const journal = openJournal(dataDir);
      for (let n = 0; n < 3; n += 1) journal.commit(one, 'durable');
      journal.forget(safeTo);
      const other = new Database(journalPath(dataDir, 0));
      other.exec(safeTo === 0 ? 'DELETE FROM rows' : 'DELETE FROM rows WHERE journal_seq > 1');
      other.close();
      if (lost > 0) {
        expect(() => journal.reopen()).toThrow(LostRowsError);
        expect(() => journal.commit(one, 'durable')).toThrow(/reopen/);
      }
      expect(journal.reopen()).toEqual([]);
      const next = journal.commit(one, 'durable');
      expect(next.journalSeq).toBe(4);
      // What a keeper would read after a restart: nothing that was left is missing, and no number is doubled.
      journal.close();
      const rows = openJournal(dataDir).rowsAfter(0);
      expect(rows.filter(({ body }) => body !== '')).toEqual([next]);
      expect(rows.at(-1)?.journalSeq).toBe(4);
    },
  );

  it('keeps the rows before those that are gone', () => {
    const dataDir = temporaryDirectory();
    const journal = openJournal(dataDir);
    const first = journal.commit(one, 'durable');
    journal.commit(one, 'durable');
    journal.commit(one, 'durable');
    const other = new Database(journalPath(dataDir, 0));
    other.exec('DELETE FROM rows WHERE journal_seq > 1');
    other.close();
    expect(() => journal.reopen()).toThrow(/has lost its 2 last rows, up to 3/);
    journal.reopen();
    const next = journal.commit(one, 'durable');
    expect(journal.rowsAfter(0).filter(({ body }) => body !== '')).toEqual([first, next]);
    expect(journal.rowsAfter(0).map(({ journalSeq }) => journalSeq)).toEqual([1, 2, 3, 4]);
  });

  it('probes by writing', () => {
    const dataDir = temporaryDirectory();
    const journal = openJournal(dataDir);
    const before = flushes(dataDir);
    journal.probe();
    expect(flushes(dataDir)).toBe(before + 1);
    journal.close();
    expect(() => journal.probe()).toThrow(CommitError);
  });
});

function outcomeOf(journal: Journal): string {
  try {
    journal.commit(one, 'durable');
  } catch (error) {
    if (error instanceof CommitError) return error.outcome;
    throw error;
  }
  return 'committed';
}

function countRows(dataDir: string): unknown {
  return read(dataDir, 'SELECT count(*) FROM rows');
}

function flushes(dataDir: string): number {
  return read(dataDir, "SELECT value FROM marks WHERE name = 'flushes'") as number;
}

function read(dataDir: string, sql: string): unknown {
  const db = new Database(journalPath(dataDir, 0), { readonly: true });
  try {
    return db.prepare(sql).pluck().get();
  } finally {
    db.close();
  }
}
