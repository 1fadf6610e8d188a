/**
 * One tenant's file: actors, outcomes of keyed calls, and which actors are closed off. Owned by the keeper.
 *
 * Invariants: everything that is read back is checked by a CRC over content and name, the tenant's included, so that a
 * page of another tenant's file is noticed · a write is one transaction and may be repeated: an older state never
 * replaces a newer one, an outcome is never overwritten by an older one · after an error while writing the owner closes
 * the file and opens it again.
 */
import { crc32 } from 'node:zlib';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { ActorState } from './coalesce.ts';
import type { CallRecord, StoredOutcome } from './contract.ts';
import { checkFormat, openFile, prepareAll, tenantFormat } from './migrations.ts';
import { look, makeDirectory, refuseForeign, tenantDirectory } from './paths.ts';
import { actorKey } from './pending.ts';
import { checkpoint, DamagedFileError, type Db } from './sqlite.ts';
import { Transaction } from './transaction.ts';

export interface ActorWrite extends ActorState {
  readonly type: string;
  readonly id: string;
}

export interface CallWrite extends CallRecord {
  readonly type: string;
  readonly id: string;
}

export interface ClosedActor {
  readonly type: string;
  readonly id: string;
  readonly reason: string;
}

/** What one transaction writes. */
export interface TenantWrite {
  readonly actors: readonly ActorWrite[];
  readonly calls: readonly CallWrite[];
  readonly closed: readonly ClosedActor[];
  readonly atMs: number;
  /** Outcomes of calls that ended before are deleted, some with each write. */
  readonly purgeBeforeMs: number;
}

/** A row that fails its check: this actor's data is not to be trusted, the rest of the file may be. */
export class DamagedActorError extends Error {
  override readonly name = 'DamagedActorError';
}

/** Rows deleted with each write at most: bounds the pause. */
const purgeRowsMax = 500;

export class TenantFile {
  readonly tenant: string;
  readonly #db: Db;
  readonly #sql;
  readonly #transaction: Transaction;
  readonly #closed = new Map<string, string>();

  /** Undefined when the tenant has no file and `create` is false. @throws NewerFileError, DamagedFileError, SqliteError */
  static open(dataDir: string, tenant: string, options: { create: boolean; nowMs: number }): TenantFile | undefined {
    const directory = tenantDirectory(dataDir, tenant);
    refuseForeign(directory, 'directory');
    const path = join(directory, 'tenant.db');
    if (look(directory) === undefined) {
      if (!options.create) return undefined;
      makeDirectory(directory);
    }
    // A WAL that was left may be another file's. A reader finds out without moving it in.
    if (look(`${path}-wal`) !== undefined && look(path) !== undefined) checkBeforeWriting(path, tenant);
    const db = openFile(
      path,
      tenantFormat,
      options.create ? (made) => identify(made, tenant, options.nowMs) : undefined,
    );
    if (db === undefined) return undefined;
    try {
      checkOwner(db, path, tenant);
      return prepareAll(path, () => new TenantFile(tenant, db));
    } catch (error) {
      db.close();
      throw error;
    }
  }

  private constructor(tenant: string, db: Db) {
    this.tenant = tenant;
    this.#db = db;
    this.#sql = statements(db);
    this.#transaction = new Transaction(db);
    for (const { type, id, reason } of this.#sql.closed.all()) this.#closed.set(actorKey(type, id), reason);
  }

  /** Why an actor was closed off; undefined for the others. */
  closedReason(type: string, id: string): string | undefined {
    return this.#closed.get(actorKey(type, id));
  }

  /** Undefined when it was never written. @throws DamagedActorError */
  readActor(type: string, id: string): ActorState | undefined {
    const row = this.#sql.actor.get(type, id);
    if (row === undefined) {
      if (this.#sql.actorByHash.get(hashOf(type, id), type, id) === undefined) return undefined;
      throw new DamagedActorError(`actor ${type}/${id} of tenant ${this.tenant} has lost its index entry`);
    }
    if (!isSoundActor(this.tenant, type, id, row))
      throw new DamagedActorError(`actor ${type}/${id} of tenant ${this.tenant} fails its check`);
    return { seq: row.seq, version: row.version, state: row.state };
  }

  hasOutcomes(type: string, id: string): boolean {
    return this.#sql.anyCall.get(type, id) !== undefined;
  }

  /** @throws DamagedActorError */
  outcome(type: string, id: string, key: string): { args: string; outcome: StoredOutcome; atMs: number } | undefined {
    const row = this.#sql.call.get(type, id, key);
    if (row === undefined) return undefined;
    if (typeof row.outcome !== 'string' || callCrc(this.tenant, type, id, key, row) !== row.crc)
      throw new DamagedActorError(`an outcome of ${type}/${id} of tenant ${this.tenant} fails its check`);
    return { args: row.args, outcome: JSON.parse(row.outcome) as StoredOutcome, atMs: row.atMs };
  }

  /** @throws CommitError, and then this file must be closed and opened again */
  write({ actors, calls, closed, atMs, purgeBeforeMs }: TenantWrite): void {
    const sql = this.#sql;
    this.#transaction.run(() => {
      for (const { type, id, seq, version, state } of actors) {
        const crc = actorCrc(this.tenant, type, id, { seq, version, state, updatedMs: atMs });
        sql.putActor.run(type, id, hashOf(type, id), seq, version, atMs, crc, state);
      }
      for (const call of calls) {
        const { type, id, key, args } = call;
        const outcome = JSON.stringify(call.outcome);
        sql.putCall.run(
          type,
          id,
          key,
          args,
          call.atMs,
          callCrc(this.tenant, type, id, key, { args, atMs: call.atMs, outcome }),
          outcome,
        );
      }
      for (const { type, id, reason } of closed) sql.putClosed.run(type, id, reason, atMs);
      sql.purge.run(purgeBeforeMs, purgeRowsMax);
    });
    for (const { type, id, reason } of closed) this.#closed.set(actorKey(type, id), reason);
  }

  checkpoint(): void {
    checkpoint(this.#db);
  }

  close(): void {
    this.#db.close();
  }
}

interface ActorRow {
  readonly seq: number;
  readonly version: number;
  readonly updatedMs: number;
  readonly state: string;
}

interface CallRow {
  readonly args: string;
  readonly atMs: number;
  readonly outcome: string;
}

function statements(db: Db) {
  return {
    actor: db.prepare<[string, string], ActorRow & { crc: number }>(
      'SELECT seq, version, updated_ms AS updatedMs, crc, state FROM actors WHERE type = ? AND id = ?',
    ),
    // The hint keeps the planner on the second way: a check by the first way again would prove nothing.
    actorByHash: db.prepare<[number, string, string]>(
      'SELECT 1 FROM actors INDEXED BY actors_by_hash WHERE hash = ? AND type = ? AND id = ?',
    ),
    anyCall: db.prepare<[string, string]>('SELECT 1 FROM calls WHERE type = ? AND id = ? LIMIT 1'),
    call: db.prepare<[string, string, string], CallRow & { crc: number }>(
      'SELECT args, at_ms AS atMs, crc, outcome FROM calls WHERE type = ? AND id = ? AND key = ?',
    ),
    closed: db.prepare<[], ClosedActor>('SELECT type, id, reason FROM quarantined'),
    putActor: db.prepare(
      `INSERT INTO actors (type, id, hash, seq, version, updated_ms, crc, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (type, id) DO UPDATE SET seq = excluded.seq, version = excluded.version, updated_ms = excluded.updated_ms,
         crc = excluded.crc, state = excluded.state WHERE excluded.seq > actors.seq`,
    ),
    // A newer outcome under an old key means that the old one had expired; a repeated write changes nothing.
    putCall: db.prepare(
      `INSERT INTO calls (type, id, key, args, at_ms, crc, outcome) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (type, id, key) DO UPDATE SET args = excluded.args, at_ms = excluded.at_ms, crc = excluded.crc,
         outcome = excluded.outcome WHERE excluded.at_ms > calls.at_ms`,
    ),
    putClosed: db.prepare(
      'INSERT INTO quarantined (type, id, reason, at_ms) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
    ),
    purge: db.prepare(
      'DELETE FROM calls WHERE (type, id, key) IN (SELECT type, id, key FROM calls WHERE at_ms < ? LIMIT ?)',
    ),
  };
}

/** Is this what was once written under that name? */
export function isSoundActor(tenant: string, type: string, id: string, row: ActorRow & { crc: number }): boolean {
  // A flipped bit can make text a blob of the same bytes, and so of the same CRC.
  return typeof row.state === 'string' && actorCrc(tenant, type, id, row) === row.crc;
}

/** Over everything that the row says, and whose it is. */
function actorCrc(tenant: string, type: string, id: string, { seq, version, updatedMs, state }: ActorRow): number {
  return crc32(state, crc32(`${tenant}\n${type}\n${id}\n${seq}\n${version}\n${updatedMs}\n`));
}

function callCrc(tenant: string, type: string, id: string, key: string, { args, atMs, outcome }: CallRow): number {
  return crc32(outcome, crc32(`${tenant}\n${type}\n${id}\n${key}\n${args}\n${atMs}\n`));
}

function hashOf(type: string, id: string): number {
  return crc32(actorKey(type, id));
}

function identify(db: Db, tenant: string, nowMs: number): void {
  const put = db.prepare('INSERT INTO meta (key, value) VALUES (?, ?)');
  put.run('tenant', tenant);
  put.run('created', new Date(nowMs).toISOString());
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
