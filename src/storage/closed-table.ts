/** Which actors of a tenant are closed off, and why. Read once: the keeper alone adds to it. */
import { actorKey } from './pending.ts';
import type { Db } from './sqlite.ts';

export interface ClosedActor {
  readonly type: string;
  readonly id: string;
  readonly reason: string;
}

export class ClosedTable {
  readonly #all;
  readonly #put;
  readonly #remove;
  readonly #reasons = new Map<string, string>();

  constructor(db: Db) {
    this.#all = db.prepare<[], ClosedActor & { atMs: number }>(
      'SELECT type, id, reason, at_ms AS atMs FROM quarantined ORDER BY type, id',
    );
    this.#put = db.prepare(
      'INSERT INTO quarantined (type, id, reason, at_ms) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
    );
    this.#remove = db.prepare('DELETE FROM quarantined WHERE type = ? AND id = ?');
    for (const actor of this.#all.all()) this.remember(actor);
  }

  /** Undefined for the others. */
  reason(type: string, id: string): string | undefined {
    return this.#reasons.get(actorKey(type, id));
  }

  /** By type and id. */
  list(): (ClosedActor & { atMs: number })[] {
    return this.#all.all();
  }

  put({ type, id, reason }: ClosedActor, atMs: number): void {
    this.#put.run(type, id, reason, atMs);
  }

  /** Once the put was committed. */
  remember({ type, id, reason }: ClosedActor): void {
    this.#reasons.set(actorKey(type, id), reason);
  }

  remove(type: string, id: string): void {
    this.#remove.run(type, id);
  }

  /** Once the removal was committed. */
  forget(type: string, id: string): void {
    this.#reasons.delete(actorKey(type, id));
  }
}
