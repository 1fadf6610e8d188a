/** Clients that actors' `onConnect` has seen and their `onDisconnect` has not, in a tenant file. */
import type { Visitor } from './contract.ts';
import { DamagedActorError } from './damaged-actor.ts';
import { rowCrc } from './row-crc.ts';
import type { Skips } from './skips.ts';
import type { Db } from './sqlite.ts';
import type { Visit } from './trail-text.ts';

interface VisitorRow {
  readonly clientId: string;
  readonly sessionId: string;
  readonly userId: string | null;
  readonly claims: string;
}

export class VisitorTable {
  readonly #tenant: string;
  readonly #sql;

  constructor(db: Db, tenant: string) {
    this.#tenant = tenant;
    this.#sql = {
      all: db.prepare<[string, string], VisitorRow & { crc: number }>(
        `SELECT client_id AS clientId, session_id AS sessionId, user_id AS userId, claims, crc FROM visitors
         WHERE type = ? AND id = ?`,
      ),
      actors: db.prepare<[string, string, number], { type: string; id: string }>(
        'SELECT DISTINCT type, id FROM visitors WHERE (type, id) > (?, ?) ORDER BY type, id LIMIT ?',
      ),
      put: db.prepare(
        'INSERT OR REPLACE INTO visitors (type, id, client_id, session_id, user_id, claims, crc) VALUES (?, ?, ?, ?, ?, ?, ?)',
      ),
      remove: db.prepare('DELETE FROM visitors WHERE type = ? AND id = ? AND client_id = ?'),
      every: db.prepare<[], VisitorRow & { type: string; id: string; crc: number }>(
        `SELECT type, id, client_id AS clientId, session_id AS sessionId, user_id AS userId, claims, crc FROM visitors`,
      ),
      removeAll: db.prepare('DELETE FROM visitors WHERE type = ? AND id = ?'),
    };
  }

  /** @throws DamagedActorError */
  read(type: string, id: string): Visitor[] {
    return this.#sql.all.all(type, id).map((row) => {
      this.#need(type, id, row);
      const { clientId, sessionId, userId, claims } = row;
      return { clientId, sessionId, userId, claims: JSON.parse(claims) as Visitor['claims'] };
    });
  }

  /** Actors with visitors that come after the given one, by type and id. */
  actorsAfter({ type, id }: { type: string; id: string }, max: number): { type: string; id: string }[] {
    return this.#sql.actors.all(type, id, max);
  }

  put(type: string, id: string, visit: Visit): void {
    if (visit.kind === 'out') {
      this.#sql.remove.run(type, id, visit.clientId);
      return;
    }
    const { clientId, sessionId, userId } = visit.visitor;
    const claims = JSON.stringify(visit.visitor.claims);
    const crc = this.#crc(type, id, { clientId, sessionId, userId, claims });
    this.#sql.put.run(type, id, clientId, sessionId, userId, claims, crc);
  }

  /** Has of the actor what another file has. @throws DamagedActorError */
  take(from: VisitorTable, type: string, id: string): void {
    this.#sql.removeAll.run(type, id);
    for (const visitor of from.read(type, id)) this.put(type, id, { kind: 'in', n: 0, visitor });
  }

  /** Checks every row. @returns how many there are @throws DamagedActorError */
  check(skips: Skips): number {
    let rows = 0;
    for (const row of this.#sql.every.iterate()) {
      rows += 1;
      if (!skips(row.type, row.id)) this.#need(row.type, row.id, row);
    }
    return rows;
  }

  #need(type: string, id: string, row: VisitorRow & { crc: number }): void {
    if (typeof row.claims !== 'string' || this.#crc(type, id, row) !== row.crc)
      throw new DamagedActorError(`a visitor of ${type}/${id} of tenant ${this.#tenant} fails its check`);
  }

  #crc(type: string, id: string, { clientId, sessionId, userId, claims }: VisitorRow): number {
    return rowCrc('visitors', this.#tenant, type, id, clientId, sessionId, JSON.stringify(userId), claims);
  }
}
