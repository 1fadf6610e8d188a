/** Actors in a tenant file: their state, and which are closed off. */
import { crc32 } from 'node:zlib';
import type { ActorState } from './coalesce.ts';
import { DamagedActorError } from './damaged-actor.ts';
import { actorKey } from './pending.ts';
import type { Skips } from './skips.ts';
import type { Db } from './sqlite.ts';

export interface ActorWrite extends ActorState {
  readonly type: string;
  readonly id: string;
}

export interface StoredActor extends ActorState {
  readonly updatedMs: number;
}

export class ActorTable {
  readonly #tenant: string;
  readonly #sql;

  constructor(db: Db, tenant: string) {
    this.#tenant = tenant;
    this.#sql = {
      actor: db.prepare<[string, string], StoredActor & { crc: number }>(
        'SELECT seq, version, updated_ms AS updatedMs, crc, state FROM actors WHERE type = ? AND id = ?',
      ),
      // The hint keeps the planner on the second way: a check by the first way again would prove nothing.
      actorByHash: db.prepare<[number, string, string]>(
        'SELECT 1 FROM actors INDEXED BY actors_by_hash WHERE hash = ? AND type = ? AND id = ?',
      ),
      seq: db.prepare<[string, string], number>('SELECT seq FROM actors WHERE type = ? AND id = ?').pluck(),
      names: db.prepare<[number], { type: string; id: string }>(
        'SELECT type, id FROM actors ORDER BY type, id LIMIT ?',
      ),
      all: db.prepare<[], ActorWrite & StoredActor & { hash: number; crc: number }>(
        'SELECT type, id, hash, seq, version, updated_ms AS updatedMs, crc, state FROM actors',
      ),
      remove: db.prepare('DELETE FROM actors WHERE type = ? AND id = ?'),
      put: db.prepare(
        `INSERT INTO actors (type, id, hash, seq, version, updated_ms, crc, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (type, id) DO UPDATE SET seq = excluded.seq, version = excluded.version, updated_ms = excluded.updated_ms,
           crc = excluded.crc, state = excluded.state WHERE excluded.seq > actors.seq`,
      ),
    };
  }

  /** Undefined when it was never written. @throws DamagedActorError */
  read(type: string, id: string): StoredActor | undefined {
    const row = this.#sql.actor.get(type, id);
    if (row === undefined) {
      if (this.#sql.actorByHash.get(hashOf(type, id), type, id) === undefined) return undefined;
      throw new DamagedActorError(`actor ${type}/${id} of tenant ${this.#tenant} has lost its index entry`);
    }
    // A flipped bit can make text a blob of the same bytes, and so of the same CRC.
    if (typeof row.state !== 'string' || crcOf(this.#tenant, type, id, row) !== row.crc) throw this.#damaged(type, id);
    return { seq: row.seq, version: row.version, state: row.state, updatedMs: row.updatedMs };
  }

  /** Its number without its state, and so without a check; 0 when it was never written. */
  seq(type: string, id: string): number {
    return this.#sql.seq.get(type, id) ?? 0;
  }

  /** By type and id. */
  names(max: number): { type: string; id: string }[] {
    return this.#sql.names.all(max);
  }

  /** An older state never replaces a newer one. */
  put({ type, id, seq, version, state }: ActorWrite, atMs: number): void {
    const crc = crcOf(this.#tenant, type, id, { seq, version, state, updatedMs: atMs });
    this.#sql.put.run(type, id, hashOf(type, id), seq, version, atMs, crc, state);
  }

  /** Has the actor as another file has it, also an older one, or not at all. @throws DamagedActorError */
  take(from: ActorTable, type: string, id: string): void {
    const stored = from.read(type, id);
    this.#sql.remove.run(type, id);
    if (stored !== undefined) this.put({ type, id, ...stored }, stored.updatedMs);
  }

  /** Checks every row. @returns how many there are @throws DamagedActorError */
  check(skips: Skips): number {
    let rows = 0;
    for (const row of this.#sql.all.iterate()) {
      rows += 1;
      if (skips(row.type, row.id)) continue;
      const { type, id, hash, state, crc } = row;
      const isSound =
        hash === hashOf(type, id) && typeof state === 'string' && crcOf(this.#tenant, type, id, row) === crc;
      if (!isSound) throw this.#damaged(type, id);
    }
    return rows;
  }

  #damaged(type: string, id: string): DamagedActorError {
    return new DamagedActorError(`actor ${type}/${id} of tenant ${this.#tenant} fails its check`);
  }
}

/** Over everything that the row says, and whose it is. */
function crcOf(tenant: string, type: string, id: string, { seq, version, updatedMs, state }: StoredActor): number {
  return crc32(state, crc32(`${tenant}\n${type}\n${id}\n${seq}\n${version}\n${updatedMs}\n`));
}

function hashOf(type: string, id: string): number {
  return crc32(actorKey(type, id));
}
