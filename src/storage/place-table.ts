/**
 * How far each actor's visits, patches and events have come, in a tenant file: numbers that must never fall, whatever of
 * what they count was deleted since.
 */
import { DamagedActorError } from './damaged-actor.ts';
import { rowCrc } from './row-crc.ts';
import type { Skips } from './skips.ts';
import type { Db } from './sqlite.ts';

export interface Place {
  readonly visitSeq: number;
  /** Number of the newest patches that were kept, and the characters of all that ever were in this run of them. */
  readonly patchSeq: number;
  readonly patchChars: number;
  readonly eventSeq: number;
  readonly eventChars: number;
  /** Events to keep. */
  readonly eventsMax: number;
}

export const noPlace: Place = { visitSeq: 0, patchSeq: 0, patchChars: 0, eventSeq: 0, eventChars: 0, eventsMax: 0 };

export class PlaceTable {
  readonly #tenant: string;
  readonly #sql;

  constructor(db: Db, tenant: string) {
    this.#tenant = tenant;
    this.#sql = {
      get: db.prepare<[string, string], Place & { crc: number }>(
        `SELECT visit_seq AS visitSeq, patch_seq AS patchSeq, patch_chars AS patchChars, event_seq AS eventSeq,
           event_chars AS eventChars, events_max AS eventsMax, crc FROM places WHERE type = ? AND id = ?`,
      ),
      // What nobody counted cannot be there.
      orphan: db
        .prepare<[{ type: string; id: string }], number>(
          `SELECT EXISTS (SELECT 1 FROM visitors WHERE type = $type AND id = $id)
           OR EXISTS (SELECT 1 FROM history WHERE type = $type AND id = $id)`,
        )
        .pluck(),
      every: db.prepare<[], Place & { type: string; id: string; crc: number }>(
        `SELECT type, id, visit_seq AS visitSeq, patch_seq AS patchSeq, patch_chars AS patchChars, event_seq AS eventSeq,
           event_chars AS eventChars, events_max AS eventsMax, crc FROM places`,
      ),
      remove: db.prepare('DELETE FROM places WHERE type = ? AND id = ?'),
      put: db.prepare(
        `INSERT OR REPLACE INTO places (type, id, visit_seq, patch_seq, patch_chars, event_seq, event_chars, events_max, crc)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ),
    };
  }

  /** @throws DamagedActorError */
  read(type: string, id: string): Place {
    const row = this.#sql.get.get(type, id);
    if (row === undefined) {
      if (this.#sql.orphan.get({ type, id }) === 0) return noPlace;
      throw new DamagedActorError(
        `actor ${type}/${id} of tenant ${this.#tenant} has lost count of its visits and events`,
      );
    }
    this.#need(type, id, row);
    return row;
  }

  put(type: string, id: string, place: Place): void {
    const { visitSeq, patchSeq, patchChars, eventSeq, eventChars, eventsMax } = place;
    const crc = this.#crc(type, id, place);
    this.#sql.put.run(type, id, visitSeq, patchSeq, patchChars, eventSeq, eventChars, eventsMax, crc);
  }

  /** Has of the actor what another file has. @throws DamagedActorError */
  take(from: PlaceTable, type: string, id: string): void {
    const place = from.read(type, id);
    this.#sql.remove.run(type, id);
    if (place !== noPlace) this.put(type, id, place);
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

  #need(type: string, id: string, row: Place & { crc: number }): void {
    if (this.#crc(type, id, row) !== row.crc)
      throw new DamagedActorError(
        `the count of visits and events of ${type}/${id} of tenant ${this.#tenant} fails its check`,
      );
  }

  #crc(type: string, id: string, { visitSeq, patchSeq, patchChars, eventSeq, eventChars, eventsMax }: Place): number {
    return rowCrc('places', this.#tenant, type, id, visitSeq, patchSeq, patchChars, eventSeq, eventChars, eventsMax);
  }
}
