/**
 * Patches and events that are kept for subscribers who come back, in a tenant file: one chunk per actor, stream and write.
 *
 * A chunk goes when nothing in it is among the newest any more, so that on disk there is up to one chunk more than is to be
 * kept. Patches are worth nothing once a client has a better way, a snapshot: they also go by age, which bounds what
 * lies there of actors that nobody subscribes to any more. A chunk that fails its check is as good as gone.
 */
import type { Stream } from '../protocol/envelope.ts';
import type { HistoryItem } from './contract.ts';
import { DamagedActorError } from './damaged-actor.ts';
import { rowCrc } from './row-crc.ts';
import type { Skips } from './skips.ts';
import type { Db } from './sqlite.ts';
import { decodeItems, encodeItems } from './trail-text.ts';

export interface ChunkWrite {
  readonly stream: Stream;
  readonly items: readonly HistoryItem[];
  /** Characters of all items up to its last, in this run of the stream. */
  readonly charsTo: number;
  /** Chunks that end there or before go; Infinity for all. */
  readonly dropToSeq: number;
  /** The same by their `charsTo`. */
  readonly dropToChars: number;
}

interface ChunkRow {
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly charsTo: number;
  readonly atMs: number;
  readonly text: string;
}

interface ChunkName {
  readonly type: string;
  readonly id: string;
  readonly stream: Stream;
}

/** Chunks may be large, so that few are deleted for their age at a time, where few come. */
const purgeChunksMin = 50;

export class HistoryTable {
  readonly #tenant: string;
  readonly #sql;

  constructor(db: Db, tenant: string) {
    this.#tenant = tenant;
    this.#sql = {
      after: db.prepare<[string, string, string, number], ChunkRow & { crc: number }>(
        `SELECT first_seq AS firstSeq, last_seq AS lastSeq, chars_to AS charsTo, at_ms AS atMs, crc, text FROM history
         WHERE type = ? AND id = ? AND stream = ? AND last_seq > ? ORDER BY last_seq`,
      ),
      oldest: db.prepare<[string, string, string], { chunk: number; lastSeq: number; charsTo: number }>(
        `SELECT rowid AS chunk, last_seq AS lastSeq, chars_to AS charsTo FROM history
         WHERE type = ? AND id = ? AND stream = ? ORDER BY last_seq LIMIT 1`,
      ),
      put: db.prepare(
        `INSERT OR REPLACE INTO history (type, id, stream, first_seq, last_seq, chars_to, at_ms, crc, text)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ),
      every: db.prepare<[], ChunkRow & ChunkName & { crc: number }>(
        `SELECT type, id, stream, first_seq AS firstSeq, last_seq AS lastSeq, chars_to AS charsTo, at_ms AS atMs, crc, text
         FROM history`,
      ),
      removeAll: db.prepare('DELETE FROM history WHERE type = ? AND id = ?'),
      drop: db.prepare<[number]>('DELETE FROM history WHERE rowid = ?'),
      purge: db.prepare(
        `DELETE FROM history WHERE rowid IN
           (SELECT rowid FROM history WHERE stream = 'state' AND at_ms < ? ORDER BY at_ms LIMIT ?)`,
      ),
    };
  }

  /** Items after `since` in order, as far as their chunks are sound. */
  read(type: string, id: string, stream: Stream, since: number): { items: HistoryItem[]; damagedChunks: number } {
    const items: HistoryItem[] = [];
    let damagedChunks = 0;
    for (const row of this.#sql.after.all(type, id, stream, since)) {
      if (!this.#isSound(type, id, stream, row)) damagedChunks += 1;
      else for (const item of decodeItems(row.text)) if (item.seq > since) items.push(item);
    }
    return { items, damagedChunks };
  }

  put(type: string, id: string, { stream, items, charsTo, dropToSeq, dropToChars }: ChunkWrite, atMs: number): void {
    for (let each = this.#sql.oldest.get(type, id, stream); each !== undefined; ) {
      if (each.lastSeq > dropToSeq && each.charsTo > dropToChars) break;
      this.#sql.drop.run(each.chunk);
      each = this.#sql.oldest.get(type, id, stream);
    }
    const [first, last] = [items[0], items.at(-1)];
    if (first === undefined || last === undefined) return;
    this.#put(type, id, stream, { firstSeq: first.seq, lastSeq: last.seq, charsTo, atMs, text: encodeItems(items) });
  }

  /** At most so many chunks, or a few. */
  purge(patchesBeforeMs: number, chunksMax: number): void {
    this.#sql.purge.run(patchesBeforeMs, Math.max(purgeChunksMin, chunksMax));
  }

  /** Has of the actor what another file has; chunks keep their age. @throws DamagedActorError */
  take(from: HistoryTable, type: string, id: string): void {
    this.#sql.removeAll.run(type, id);
    for (const stream of ['state', 'event'] as const) {
      for (const row of from.#sql.after.all(type, id, stream, -1)) {
        if (!from.#isSound(type, id, stream, row)) throw from.#damaged(type, id);
        this.#put(type, id, stream, row);
      }
    }
  }

  /** Checks every row. @returns how many there are @throws DamagedActorError */
  check(skips: Skips): number {
    let rows = 0;
    for (const row of this.#sql.every.iterate()) {
      rows += 1;
      if (!skips(row.type, row.id) && !this.#isSound(row.type, row.id, row.stream, row))
        throw this.#damaged(row.type, row.id);
    }
    return rows;
  }

  #put(type: string, id: string, stream: Stream, row: ChunkRow): void {
    const { firstSeq, lastSeq, charsTo, atMs, text } = row;
    const crc = this.#crc(type, id, stream, row);
    this.#sql.put.run(type, id, stream, firstSeq, lastSeq, charsTo, atMs, crc, text);
  }

  #isSound(type: string, id: string, stream: Stream, row: ChunkRow & { crc: number }): boolean {
    return typeof row.text === 'string' && this.#crc(type, id, stream, row) === row.crc;
  }

  #damaged(type: string, id: string): DamagedActorError {
    return new DamagedActorError(`kept history of ${type}/${id} of tenant ${this.#tenant} fails its check`);
  }

  #crc(type: string, id: string, stream: Stream, { firstSeq, lastSeq, charsTo, atMs, text }: ChunkRow): number {
    return rowCrc('history', this.#tenant, type, id, stream, firstSeq, lastSeq, charsTo, atMs, text);
  }
}
