/** A journal's connection with its statements; the journal says when they run. */
import { dirname } from 'node:path';
import type { Statement } from 'better-sqlite3';
import type { StoredRow } from './journal-row.ts';
import { journalFormat, openFile, prepareAll } from './migrations.ts';
import { makeDirectory } from './paths.ts';
import { DamagedFileError, type Db, setSynchronous, type Synchronous } from './sqlite.ts';
import { Transaction } from './transaction.ts';

export class JournalFile {
  readonly db: Db;
  readonly transaction: Transaction;
  readonly insert: Statement;
  readonly remove: Statement;
  readonly mark: Statement;
  readonly countFlush: Statement;
  readonly readMark: Statement;
  readonly rows: Statement<[], StoredRow>;
  readonly sizes: Statement<[number], { journalSeq: number; bytes: number }>;
  #level: Synchronous = 'FULL';

  /** Opens or creates it; rows up to `forgotten` were deleted. @throws NewerFileError, DamagedFileError, SqliteError */
  static open(path: string): { file: JournalFile; forgotten: number } {
    makeDirectory(dirname(path));
    const db = openFile(path, journalFormat, () => undefined)!;
    try {
      const file = prepareAll(path, () => new JournalFile(db));
      const forgotten = file.readMark.get();
      if (typeof forgotten !== 'number') throw new DamagedFileError(`${path} has lost its mark`);
      return { file, forgotten };
    } catch (error) {
      db.close();
      throw error;
    }
  }

  private constructor(db: Db) {
    this.db = db;
    this.transaction = new Transaction(db);
    this.insert = db.prepare('INSERT INTO rows (journal_seq, toc, toc_crc, body, crc) VALUES (?, ?, ?, ?, ?)');
    this.remove = db.prepare('DELETE FROM rows WHERE journal_seq <= ?');
    this.mark = db.prepare("UPDATE marks SET value = ? WHERE name = 'forgotten'");
    this.countFlush = db.prepare("UPDATE marks SET value = value + 1 WHERE name = 'flushes'");
    this.readMark = db.prepare("SELECT value FROM marks WHERE name = 'forgotten'").pluck();
    this.rows = db.prepare<[], StoredRow>(
      'SELECT journal_seq AS journalSeq, toc, toc_crc AS tocCrc, body, crc FROM rows ORDER BY journal_seq',
    );
    this.sizes = db.prepare<[number], { journalSeq: number; bytes: number }>(
      'SELECT journal_seq AS journalSeq, octet_length(body) + octet_length(toc) AS bytes FROM rows WHERE journal_seq > ? ORDER BY journal_seq',
    );
  }

  setLevel(level: Synchronous): void {
    if (level === this.#level) return;
    setSynchronous(this.db, level);
    this.#level = level;
  }
}
