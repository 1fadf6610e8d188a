/**
 * One tenant's file: actors, what they leave beside their state, which are closed off, and the sessions of its clients.
 * Owned by the keeper. Each group of tables has a class of its own; all are read freely and written by write() alone.
 *
 * Invariants: everything that an answer depends on is checked by a CRC over content and name, the tenant's included, so that
 * a page of another tenant's file is noticed · a write is one transaction and may be repeated: an older state never
 * replaces a newer one, nor an older outcome, visit or event · after an error while writing the owner closes the file and
 * opens it again.
 */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { ActorTable, type ActorWrite } from './actor-table.ts';
import { CallTable, type CallWrite } from './call-table.ts';
import { type ClosedActor, ClosedTable } from './closed-table.ts';
import type { NumberedCalls, SessionRecord } from './contract.ts';
import { HistoryTable } from './history-table.ts';
import { checkFormat, openFile, prepareAll, tenantFormat } from './migrations.ts';
import { NumberedTable } from './numbered-table.ts';
import { look, makeDirectory, refuseForeign, tenantDirectory } from './paths.ts';
import { PlaceTable } from './place-table.ts';
import { SessionTable } from './session-table.ts';
import { checkpoint, DamagedFileError, type Db } from './sqlite.ts';
import type { TrailWrite } from './trail-write.ts';
import { MarkedTransaction } from './marked-transaction.ts';
import { Transaction } from './transaction.ts';
import { VisitorTable } from './visitor-table.ts';

/** What one transaction writes. */
export interface TenantWrite {
  readonly actors: readonly ActorWrite[];
  readonly calls: readonly CallWrite[];
  readonly trails: readonly TrailWrite[];
  readonly closed: readonly ClosedActor[];
  readonly atMs: number;
  /** Outcomes of calls that ended before are deleted, and patches that were kept before; some with each write. */
  readonly purgeBeforeMs: number;
  /** The same for sessions that were found to have ended before. */
  readonly sessionsBeforeMs: number;
}

export interface OpenOptions {
  readonly create: boolean;
  readonly nowMs: number;
  /** The run of the process: what a new file takes as its epoch. */
  readonly boot: string;
}

/** Rows deleted from each table with each write, at most: bounds the pause. A write that adds more than half of it deletes more. */
const purgeRowsMax = 500;

/** Twice what comes goes, if it is there: else a busy tenant's file would grow for ever. */
function purgeRows(added: number): number {
  return Math.max(purgeRowsMax, 2 * added);
}

export class TenantFile {
  readonly tenant: string;
  /** The line of history that its numbers belong to. */
  readonly epoch: string;
  readonly actors: ActorTable;
  readonly closed: ClosedTable;
  readonly calls: CallTable;
  readonly numbered: NumberedTable;
  readonly visitors: VisitorTable;
  readonly places: PlaceTable;
  readonly history: HistoryTable;
  readonly sessions: SessionTable;
  readonly #db: Db;
  readonly #transaction: MarkedTransaction;

  /** Undefined when the tenant has no file and `create` is false. @throws NewerFileError, DamagedFileError, SqliteError */
  static open(dataDir: string, tenant: string, options: OpenOptions): TenantFile | undefined {
    const directory = tenantDirectory(dataDir, tenant);
    refuseForeign(directory, 'directory');
    const path = join(directory, 'tenant.db');
    if (look(directory) === undefined) {
      if (!options.create) return undefined;
      makeDirectory(directory);
    }
    // A WAL that was left may be another file's. A reader finds out without moving it in.
    if (look(`${path}-wal`) !== undefined && look(path) !== undefined) checkBeforeWriting(path, tenant);
    const db = openFile(path, tenantFormat, options.create ? (made) => identify(made, tenant, options) : undefined);
    if (db === undefined) return undefined;
    try {
      checkOwner(db, path, tenant);
      return prepareAll(path, () => new TenantFile(tenant, db, options.boot, path));
    } catch (error) {
      db.close();
      throw error;
    }
  }

  private constructor(tenant: string, db: Db, boot: string, path: string) {
    this.tenant = tenant;
    this.#db = db;
    this.epoch = epochOf(db, new Transaction(db), boot);
    this.actors = new ActorTable(db, tenant);
    this.closed = new ClosedTable(db);
    this.calls = new CallTable(db, tenant);
    this.numbered = new NumberedTable(db, tenant);
    this.visitors = new VisitorTable(db, tenant);
    this.places = new PlaceTable(db, tenant);
    this.history = new HistoryTable(db, tenant);
    this.sessions = new SessionTable(db);
    // Last: it holds a file open.
    this.#transaction = new MarkedTransaction(db, path);
  }

  /** @throws CommitError, and then this file must be closed and opened again */
  write(write: TenantWrite): void {
    const { atMs, purgeBeforeMs } = write;
    this.#transaction.run(() => {
      for (const actor of write.actors) this.actors.put(actor, atMs);
      for (const call of write.calls) this.calls.put(call);
      for (const trail of write.trails) this.#putTrail(trail, atMs);
      for (const actor of write.closed) this.closed.put(actor, atMs);
      this.calls.purge(purgeBeforeMs, purgeRows(write.calls.length));
      this.numbered.purge(purgeBeforeMs, purgeRows(sumOf(write.trails, ({ numbered }) => rowsOf(numbered))));
      this.history.purge(purgeBeforeMs, 2 * sumOf(write.trails, ({ chunks }) => chunks.length));
      this.sessions.purge(write.sessionsBeforeMs, purgeRowsMax);
    });
    for (const actor of write.closed) this.closed.remember(actor);
  }

  /** @throws CommitError, as write */
  putSessions(
    records: readonly SessionRecord[],
    nowMs: number,
    keep: { readonly sinceMs: number; readonly endedMax: number },
  ): void {
    this.#transaction.run(() => {
      for (const record of records) this.sessions.put(record, nowMs);
      this.sessions.purge(keep.sinceMs, purgeRowsMax);
      this.sessions.trim(keep.endedMax);
    });
  }

  /** Ends the sessions of every run of the process but this. @returns how many @throws CommitError, as write */
  endStaleSessions(boot: string, nowMs: number): number {
    if (!this.sessions.anyStale(boot)) return 0;
    let ended = 0;
    this.#transaction.run(() => {
      ended = this.sessions.endStale(boot, nowMs);
    });
    return ended;
  }

  /** Commits in the file's life. */
  get writes(): number {
    return this.#transaction.writes;
  }

  /** Copies the file as it is when the copy ends. `step` is told the pages done and in all, and says how many come next. */
  async backup(to: string, step: (pages: number, pagesTotal: number) => number): Promise<void> {
    await this.#db.backup(to, {
      progress: ({ totalPages, remainingPages }) => step(totalPages - remainingPages, totalPages),
    });
  }

  /**
   * Begins another line of history, for a content that went back in time; `writes` that were counted before stay counted.
   * The owner opens the file anew. @throws CommitError
   */
  setEpoch(epoch: string, writes = 0): void {
    this.#transaction.raise(writes);
    this.#transaction.run(() => this.#db.prepare("UPDATE meta SET value = ? WHERE key = 'epoch'").run(epoch));
  }

  /** One write that the tables' own methods make up. @throws CommitError, as write */
  transact(work: () => void): void {
    this.#transaction.run(work);
  }

  /** Every actor of which there is anything but a note that it is closed off, by type and id. */
  names(): { type: string; id: string }[] {
    const tables = ['actors', 'calls', 'numbered', 'acks', 'visitors', 'places', 'history'];
    const sql = `${tables.map((table) => `SELECT type, id FROM ${table}`).join(' UNION ')} ORDER BY type, id`;
    return this.#db.prepare<[], { type: string; id: string }>(sql).all();
  }

  /** SQLite's own check: structure, indexes and constraints. @throws DamagedFileError */
  checkStructure(): void {
    const result = this.#db.pragma('integrity_check(1)', { simple: true });
    if (result !== 'ok') throw new DamagedFileError(`SQLite's integrity check says: ${String(result)}`);
  }

  checkpoint(): void {
    checkpoint(this.#db);
  }

  close(): void {
    this.#transaction.close();
    this.#db.close();
  }

  #putTrail({ type, id, numbered, visits, chunks, place }: TrailWrite, atMs: number): void {
    for (const calls of numbered) this.numbered.put(type, id, calls, atMs);
    for (const visit of visits) this.visitors.put(type, id, visit);
    for (const chunk of chunks) this.history.put(type, id, chunk, atMs);
    if (place !== undefined) this.places.put(type, id, place);
  }
}

function sumOf<T>(items: readonly T[], sizeOf: (item: T) => number): number {
  return items.reduce((sum, item) => sum + sizeOf(item), 0);
}

/** Of the larger of both tables: each client has a mark, and its outcomes. */
function rowsOf(numbered: readonly NumberedCalls[]): number {
  return sumOf(numbered, ({ calls }) => 1 + calls.length);
}

/** @throws DamagedFileError when the file is another tenant's */
export function checkOwner(db: Db, path: string, tenant: string): void {
  const owner = prepareAll(path, () => db.prepare("SELECT value FROM meta WHERE key = 'tenant'").pluck()).get();
  if (owner !== tenant)
    throw new DamagedFileError(
      `${path} says that it belongs to ${owner === undefined ? 'nobody' : `tenant ${JSON.stringify(owner)}`}`,
    );
}

function checkBeforeWriting(path: string, tenant: string): void {
  const db = new Database(path, { readonly: true, fileMustExist: true });
  try {
    checkFormat(db, path, tenantFormat);
    checkOwner(db, path, tenant);
  } finally {
    db.close();
  }
}

function identify(db: Db, tenant: string, { nowMs, boot }: OpenOptions): void {
  const put = db.prepare('INSERT INTO meta (key, value) VALUES (?, ?)');
  put.run('tenant', tenant);
  put.run('created', new Date(nowMs).toISOString());
  put.run('epoch', boot);
}

/** A file of a former version has none, and one that was damaged may have one that no frame could carry. */
function epochOf(db: Db, transaction: Transaction, boot: string): string {
  const epoch = db.prepare("SELECT value FROM meta WHERE key = 'epoch'").pluck().get();
  if (typeof epoch === 'string' && epochPattern.test(epoch)) return epoch;
  const put = db.prepare("INSERT OR REPLACE INTO meta (key, value) VALUES ('epoch', ?)");
  transaction.run(() => put.run(boot));
  return boot;
}

const epochPattern = /^[\w-]{1,64}$/;
