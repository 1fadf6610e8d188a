/**
 * Patches and events that are kept for subscribers who come back, in a tenant file: one chunk per actor, stream and write.
 *
 * A chunk goes when nothing in it is among the newest any more, so that on disk there is up to one chunk more than is to be
 * kept. Patches are worth nothing once a client has a better way, a snapshot: they also go by age, which bounds what
 * lies there of actors that nobody subscribes to any more. A chunk that fails its check is as good as gone.
 */
import type { Stream } from '../protocol/envelope.ts';
import type { HistoryItem } from './contract.ts';
import { rowCrc } from './row-crc.ts';
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

/** Chunks may be large, so that few are deleted for their age at a time. */
const purgeChunksMax = 50;

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
      if (typeof row.text !== 'string' || this.#crc(type, id, stream, row) !== row.crc) damagedChunks += 1;
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
    const row = { firstSeq: first.seq, lastSeq: last.seq, charsTo, atMs, text: encodeItems(items) };
    const crc = this.#crc(type, id, stream, row);
    this.#sql.put.run(type, id, stream, row.firstSeq, row.lastSeq, charsTo, atMs, crc, row.text);
  }

  purge(patchesBeforeMs: number): void {
    this.#sql.purge.run(patchesBeforeMs, purgeChunksMax);
  }

  #crc(type: string, id: string, stream: Stream, { firstSeq, lastSeq, charsTo, atMs, text }: ChunkRow): number {
    return rowCrc('history', this.#tenant, type, id, stream, firstSeq, lastSeq, charsTo, atMs, text);
  }
}
