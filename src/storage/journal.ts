/**
 * A shard's journal: the commit point of every call. Owned by the shard's thread, and synchronous, because nothing else
 * of the shard may happen while a commit is under way.
 *
 *   commit(entries) ──▶ one packed row ──▶ fsync ──▶ the row, for the keeper
 *   forget(seq)     ──▶ remembered; the rows go in the next commit's transaction, which is paid for anyway
 *
 * Invariants: journalSeq rises by one per row, also over restarts and when all rows are gone (the mark `forgotten` is
 * moved in the transaction that deletes) · rows on disk are a gapless run after the mark · after a commit with an unknown
 * end nothing works but reopen() and close(), so that memory never runs ahead of the disk or behind it · with a lease, no
 * commit returns that was not on disk before the lease ended.
 */
import { strict as assert } from 'node:assert';
import { type Clock, systemClock } from '../host/clock.ts';
import type { Lease } from '../host/lease.ts';
import type { JournalEntry, JournalRow } from './contract.ts';
import { JournalFile } from './journal-file.ts';
import { packRow, soundRow, type StoredRow } from './journal-row.ts';
import { lostEnd, Mark } from './mark.ts';
import { LostRowsError } from './lost-rows-error.ts';
import { checkpoint, DamagedFileError, type Synchronous } from './sqlite.ts';
import { CommitError } from './transaction.ts';

export { CommitError };

export class Journal {
  readonly path: string;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #lease: Pick<Lease, 'held'> | undefined;
  #file: JournalFile | undefined;
  #endMark: Mark | undefined;
  #lastSeq = 0;
  #lastAtMs = 0;
  /** Rows up to here are deleted on disk; rows up to `#forgetTo` will be. */
  #forgotten = 0;
  #forgetTo = 0;
  #unsyncedBytes = 0;
  /** Bytes of each row after `#forgetTo`, oldest first. */
  #rowBytes: number[] = [];
  #unfsyncedRows = false;
  /** The last row that a caller has seen. */
  #handedOver: number;

  /**
   * Opens or creates it. Rows up to `elsewhere` are not missed. Without a lease it may always commit.
   * @throws NewerFileError, DamagedFileError, SqliteError
   */
  static open(
    path: string,
    elsewhere = 0,
    clock: Pick<Clock, 'now'> = systemClock,
    lease?: Pick<Lease, 'held'>,
  ): Journal {
    return new Journal(path, elsewhere, clock, lease);
  }

  private constructor(path: string, elsewhere: number, clock: Pick<Clock, 'now'>, lease?: Pick<Lease, 'held'>) {
    this.path = path;
    this.#clock = clock;
    this.#lease = lease;
    this.#load();
    this.#checkEnd(elsewhere);
    this.#handedOver = this.#lastSeq;
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** Rows up to there are deleted on disk. */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** Rows that were not forgotten yet, and their bytes. */
  get unsyncedRows(): number {
    return this.#rowBytes.length;
  }

  get unsyncedBytes(): number {
    return this.#unsyncedBytes;
  }

  /**
   * Writes the entries as one row; when it returns, they are on disk (`durable`) or in the kernel (`process`).
   * @throws CommitError
   */
  commit(entries: readonly JournalEntry[], durability: 'durable' | 'process'): JournalRow {
    assert(entries.length > 0, 'a commit needs entries');
    const file = this.#required();
    const journalSeq = this.#lastSeq + 1;
    const atMs = Math.max(this.#clock.now(), this.#lastAtMs);
    const row = packRow(journalSeq, atMs, entries);
    this.#writeHeld(file, durability === 'durable' ? 'FULL' : 'NORMAL', () => {
      file.insert.run(journalSeq, row.toc, row.tocCrc, row.body, row.crc);
    });
    this.#lastSeq = journalSeq;
    // Rows without fsync may be lost with the host, and nobody was promised otherwise.
    if (durability === 'durable') this.#endMark?.write(journalSeq);
    this.#handedOver = journalSeq;
    this.#lastAtMs = atMs;
    this.#account(Buffer.byteLength(row.body) + row.toc.length);
    return { journalSeq, atMs, body: row.body };
  }

  /** Every row up to there is safe elsewhere. */
  forget(upToJournalSeq: number): void {
    const upTo = Math.min(upToJournalSeq, this.#lastSeq);
    if (upTo <= this.#forgetTo) return;
    for (const bytes of this.#rowBytes.splice(0, upTo - this.#forgetTo)) this.#unsyncedBytes -= bytes;
    this.#forgetTo = upTo;
  }

  /** For quiet moments: deletes forgotten rows, and syncs what was committed as `process`. @throws CommitError */
  flush(): void {
    const file = this.#file;
    if (file === undefined) return;
    if (this.#forgetTo === this.#forgotten && !this.#unfsyncedRows) return;
    // Any change will do: its fsync covers every earlier one in the WAL. One that changes nothing would write nothing.
    this.#write(file, 'FULL', () => file.countFlush.run());
  }

  /** Writes and syncs a little, to find out whether that works again. @throws CommitError */
  probe(): void {
    const file = this.#required();
    this.#writeHeld(file, 'FULL', () => file.countFlush.run());
  }

  /** @throws DamagedFileError when a row fails its check */
  rowsAfter(journalSeq: number): JournalRow[] {
    return Array.from(this.storedRows(journalSeq), (stored) => {
      const row = soundRow(stored);
      if (row === undefined) throw new DamagedFileError(`${this.path}: row ${stored.journalSeq} fails its check`);
      return row;
    });
  }

  /** Unchecked, oldest first. @throws DamagedFileError when rows are missing, or there that were deleted */
  *storedRows(afterJournalSeq: number): Iterable<StoredRow> {
    let last = this.#forgotten;
    for (const row of this.#required().rows.iterate()) {
      if (row.journalSeq !== last + 1)
        throw new DamagedFileError(`${this.path}: row ${last + 1} is missing or out of place`);
      last = row.journalSeq;
      if (row.journalSeq > afterJournalSeq) yield row;
    }
  }

  /** Reads the whole structure of the file. For a start: rows can vanish by one flipped bit in a page's header. @throws DamagedFileError */
  checkStructure(): void {
    const result = this.#required().db.pragma('integrity_check(1)', { simple: true });
    if (result !== 'ok') throw new DamagedFileError(`${this.path} fails SQLite's integrity check: ${String(result)}`);
  }

  /**
   * Closes and opens the file after a commit with an unknown end. The disk decides: returns the rows that turn out to be
   * there beyond the last one that commit() returned. May be called again when it throws.
   * @throws LostRowsError, DamagedFileError, SqliteError
   */
  reopen(): JournalRow[] {
    const forgetTo = this.#forgetTo;
    this.#drop();
    try {
      this.#load();
      const lost = this.continueAfter(this.#handedOver, forgetTo);
      this.forget(forgetTo);
      if (lost > 0)
        throw new LostRowsError(
          `${this.path} has lost its ${lost} last rows, up to ${this.#handedOver}; their calls were acknowledged`,
        );
      // A failed fsync may have left frames in the page cache alone; copied into the file, they are synced for certain.
      checkpoint(this.#required().db);
      const rows = this.rowsAfter(this.#handedOver);
      this.#handedOver = this.#lastSeq;
      return rows;
    } catch (error) {
      this.#drop();
      throw error;
    }
  }

  /**
   * Sees to it that no number up to `journalSeq` is given a second time: the keeper would take the row for a repeat and
   * drop it. Empty rows stand in for those that are missing, so that the ones before them are still replayed.
   * @param safeTo every row up to there is safe elsewhere
   * @returns how many rows were missing that are not safe @throws CommitError
   */
  continueAfter(journalSeq: number, safeTo: number): number {
    if (this.#lastSeq >= journalSeq) return 0;
    const file = this.#required();
    const first = Math.max(this.#lastSeq, safeTo) + 1;
    this.#write(file, 'FULL', () => {
      if (safeTo >= this.#lastSeq) {
        file.remove.run(safeTo);
        file.mark.run(safeTo);
      }
      for (let missing = first; missing <= journalSeq; missing += 1) {
        const { toc, tocCrc, body, crc } = packRow(missing, this.#lastAtMs, []);
        file.insert.run(missing, toc, tocCrc, body, crc);
      }
    });
    this.#drop();
    this.#load();
    return journalSeq - first + 1;
  }

  /** Flushes, moves the WAL into the file, closes. The file is closed even when it throws. */
  close(): void {
    if (this.#file === undefined) return;
    try {
      this.flush();
      checkpoint(this.#file.db);
    } finally {
      this.#drop();
    }
  }

  /** Lets go of the file without writing to it. */
  abandon(): void {
    this.#drop();
  }

  #required(): JournalFile {
    if (this.#file !== undefined) return this.#file;
    throw new CommitError('rolled-back', this.path, new Error('it is closed; after an unknown end, reopen() first'));
  }

  /** Under the lease, before and after: what came to disk when it was over is nobody's to be told. */
  #writeHeld(file: JournalFile, level: Synchronous, work: () => void): void {
    if (!this.#mayCommit()) throw new CommitError('rolled-back', this.path, new Error(leaseOver));
    this.#write(file, level, work);
    if (this.#mayCommit()) return;
    this.#drop();
    throw new CommitError('unknown', this.path, new Error(leaseOver));
  }

  #mayCommit(): boolean {
    return this.#lease?.held ?? true;
  }

  /** One transaction that also deletes what was forgotten. */
  #write(file: JournalFile, level: Synchronous, work: () => void): void {
    const forgetTo = this.#forgetTo;
    try {
      file.setLevel(level);
    } catch (cause) {
      throw new CommitError('rolled-back', this.path, cause);
    }
    try {
      file.transaction.run(() => {
        work();
        if (forgetTo === this.#forgotten) return;
        file.remove.run(forgetTo);
        file.mark.run(forgetTo);
      });
    } catch (error) {
      if (!(error instanceof CommitError) || error.outcome === 'unknown') this.#drop();
      throw error;
    }
    this.#forgotten = forgetTo;
    this.#unfsyncedRows = level === 'NORMAL';
  }

  #load(): void {
    const { file, forgotten } = JournalFile.open(this.path);
    this.#forgotten = forgotten;
    const sizes = file.sizes.all(this.#forgotten);
    this.#forgetTo = this.#forgotten;
    this.#lastSeq = sizes.at(-1)?.journalSeq ?? this.#forgotten;
    this.#rowBytes = [];
    this.#unsyncedBytes = 0;
    for (const { bytes } of sizes) this.#account(bytes);
    this.#unfsyncedRows = false;
    this.#endMark = new Mark(this.path);
    this.#file = file;
  }

  /** @throws DamagedFileError when acknowledged rows are missing at the end, where nothing else would tell */
  #checkEnd(elsewhere: number): void {
    const marked = this.#endMark?.read() ?? 0;
    if (marked <= Math.max(this.#lastSeq, elsewhere)) return;
    this.#drop();
    throw lostEnd(this.path, `row ${this.#lastSeq}`, `row ${marked}`);
  }

  #account(bytes: number): void {
    this.#rowBytes.push(bytes);
    this.#unsyncedBytes += bytes;
  }

  #drop(): void {
    const file = this.#file;
    this.#file = undefined;
    this.#endMark?.close();
    this.#endMark = undefined;
    file?.db.close();
  }
}

const leaseOver = "this node's lease is over: NATS did not answer in time, or another node has its slots";
