/** Outcomes of calls with an arbitrary key, in a tenant file. */
import { crc32 } from 'node:zlib';
import type { CallRecord, StoredOutcome } from './contract.ts';
import { DamagedActorError } from './damaged-actor.ts';
import type { Skips } from './skips.ts';
import type { Db } from './sqlite.ts';

export interface CallWrite extends CallRecord {
  readonly type: string;
  readonly id: string;
}

interface CallRow {
  readonly args: string;
  readonly atMs: number;
  readonly outcome: string;
}

export class CallTable {
  readonly #tenant: string;
  readonly #sql;

  constructor(db: Db, tenant: string) {
    this.#tenant = tenant;
    this.#sql = {
      any: db.prepare<[string, string]>('SELECT 1 FROM calls WHERE type = ? AND id = ? LIMIT 1'),
      keys: db.prepare<[string, string], string>('SELECT key FROM calls WHERE type = ? AND id = ?').pluck(),
      get: db.prepare<[string, string, string], CallRow & { crc: number }>(
        'SELECT args, at_ms AS atMs, crc, outcome FROM calls WHERE type = ? AND id = ? AND key = ?',
      ),
      all: db.prepare<[], CallRow & { type: string; id: string; key: string; crc: number }>(
        'SELECT type, id, key, args, at_ms AS atMs, crc, outcome FROM calls',
      ),
      remove: db.prepare('DELETE FROM calls WHERE type = ? AND id = ?'),
      // A newer outcome under an old key means that the old one had expired; a repeated write changes nothing.
      put: db.prepare(
        `INSERT INTO calls (type, id, key, args, at_ms, crc, outcome) VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (type, id, key) DO UPDATE SET args = excluded.args, at_ms = excluded.at_ms, crc = excluded.crc,
           outcome = excluded.outcome WHERE excluded.at_ms > calls.at_ms`,
      ),
      purge: db.prepare(
        'DELETE FROM calls WHERE (type, id, key) IN (SELECT type, id, key FROM calls WHERE at_ms < ? LIMIT ?)',
      ),
    };
  }

  /** Are there any of this actor? */
  any(type: string, id: string): boolean {
    return this.#sql.any.get(type, id) !== undefined;
  }

  keys(type: string, id: string): string[] {
    return this.#sql.keys.all(type, id);
  }

  /** @throws DamagedActorError */
  read(type: string, id: string, key: string): { args: string; outcome: StoredOutcome; atMs: number } | undefined {
    const row = this.#sql.get.get(type, id, key);
    if (row === undefined) return undefined;
    this.#need(type, id, key, row);
    return { args: row.args, outcome: JSON.parse(row.outcome) as StoredOutcome, atMs: row.atMs };
  }

  put(call: CallWrite): void {
    const { type, id, key, args, atMs } = call;
    const outcome = JSON.stringify(call.outcome);
    const crc = crcOf(this.#tenant, type, id, key, { args, atMs, outcome });
    this.#sql.put.run(type, id, key, args, atMs, crc, outcome);
  }

  purge(beforeMs: number, rowsMax: number): void {
    this.#sql.purge.run(beforeMs, rowsMax);
  }

  /** Has of the actor what another file has. @throws DamagedActorError */
  take(from: CallTable, type: string, id: string): void {
    this.#sql.remove.run(type, id);
    for (const key of from.keys(type, id)) {
      const call = from.read(type, id, key);
      if (call !== undefined) this.put({ type, id, key, ...call });
    }
  }

  /** Checks every row. @returns how many there are @throws DamagedActorError */
  check(skips: Skips): number {
    let rows = 0;
    for (const row of this.#sql.all.iterate()) {
      rows += 1;
      if (!skips(row.type, row.id)) this.#need(row.type, row.id, row.key, row);
    }
    return rows;
  }

  #need(type: string, id: string, key: string, row: CallRow & { crc: number }): void {
    if (typeof row.outcome !== 'string' || crcOf(this.#tenant, type, id, key, row) !== row.crc)
      throw new DamagedActorError(`an outcome of ${type}/${id} of tenant ${this.#tenant} fails its check`);
  }
}

function crcOf(tenant: string, type: string, id: string, key: string, { args, atMs, outcome }: CallRow): number {
  return crc32(outcome, crc32(`${tenant}\n${type}\n${id}\n${key}\n${args}\n${atMs}\n`));
}
