/**
 * Calls of clients that number them, in a tenant file: the outcomes above each client's ack, and the acks.
 *
 * Invariants: an ack never falls before it expires · no outcome at or below its client's ack stays · an ack lives as long as
 * the youngest outcome beside it, because its age is renewed with every write.
 */
import type { NumberedCall, NumberedCalls, StoredOutcome } from './contract.ts';
import { DamagedActorError } from './damaged-actor.ts';
import { rowCrc } from './row-crc.ts';
import type { Skips } from './skips.ts';
import type { Db } from './sqlite.ts';

interface CallRow {
  readonly n: number;
  readonly atMs: number;
  readonly outcome: string;
  readonly crc: number;
}

interface AckRow {
  readonly ack: number;
  readonly atMs: number;
  readonly crc: number;
}

interface Owner {
  readonly type: string;
  readonly id: string;
  readonly client: string;
}

export class NumberedTable {
  readonly #tenant: string;
  readonly #sql;

  constructor(db: Db, tenant: string) {
    this.#tenant = tenant;
    this.#sql = {
      any: db
        .prepare<[{ type: string; id: string }], number>(
          `SELECT EXISTS (SELECT 1 FROM acks WHERE type = $type AND id = $id)
           OR EXISTS (SELECT 1 FROM numbered WHERE type = $type AND id = $id)`,
        )
        .pluck(),
      clients: db
        .prepare<[string, string, string, string], string>(
          'SELECT client FROM acks WHERE type = ? AND id = ? UNION SELECT client FROM numbered WHERE type = ? AND id = ?',
        )
        .pluck(),
      ack: db.prepare<[string, string, string], AckRow>(
        'SELECT ack, at_ms AS atMs, crc FROM acks WHERE type = ? AND id = ? AND client = ?',
      ),
      calls: db.prepare<[string, string, string], CallRow>(
        'SELECT n, at_ms AS atMs, crc, outcome FROM numbered WHERE type = ? AND id = ? AND client = ? ORDER BY n',
      ),
      putAck: db.prepare(
        `INSERT INTO acks (type, id, client, ack, at_ms, crc) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (type, id, client) DO UPDATE SET ack = excluded.ack, at_ms = excluded.at_ms, crc = excluded.crc
           WHERE excluded.ack >= acks.ack`,
      ),
      putCall: db.prepare(
        `INSERT INTO numbered (type, id, client, n, at_ms, crc, outcome) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
      ),
      // The stored ack may be higher than the one that was just written: journals may bring old ones late.
      dropAcked: db.prepare<[{ type: string; id: string; client: string }]>(
        `DELETE FROM numbered WHERE type = $type AND id = $id AND client = $client
           AND n <= (SELECT ack FROM acks WHERE type = $type AND id = $id AND client = $client)`,
      ),
      everyCall: db.prepare<[], CallRow & Owner>(
        'SELECT type, id, client, n, at_ms AS atMs, crc, outcome FROM numbered',
      ),
      everyAck: db.prepare<[], AckRow & Owner>('SELECT type, id, client, ack, at_ms AS atMs, crc FROM acks'),
      removeCalls: db.prepare('DELETE FROM numbered WHERE type = ? AND id = ?'),
      removeAcks: db.prepare('DELETE FROM acks WHERE type = ? AND id = ?'),
      purgeCalls: db.prepare(
        `DELETE FROM numbered WHERE (type, id, client, n) IN
           (SELECT type, id, client, n FROM numbered WHERE at_ms < ? LIMIT ?)`,
      ),
      purgeAcks: db.prepare(
        'DELETE FROM acks WHERE (type, id, client) IN (SELECT type, id, client FROM acks WHERE at_ms < ? LIMIT ?)',
      ),
    };
  }

  /** Is there anything of this actor? */
  any(type: string, id: string): boolean {
    return this.#sql.any.get({ type, id }) === 1;
  }

  clients(type: string, id: string): string[] {
    return this.#sql.clients.all(type, id, type, id);
  }

  /** @throws DamagedActorError */
  read(type: string, id: string, client: string): NumberedCalls | undefined {
    const rows = this.#sql.calls.all(type, id, client);
    const ackRow = this.#sql.ack.get(type, id, client);
    if (ackRow !== undefined) this.#needAck(type, id, client, ackRow);
    const ack = ackRow?.ack ?? 0;
    const calls = rows.map((row): NumberedCall => {
      this.#needCall(type, id, client, row);
      return { n: row.n, outcome: JSON.parse(row.outcome) as StoredOutcome, atMs: row.atMs };
    });
    if (ackRow === undefined && calls.length === 0) return undefined;
    return { client, ack, calls: calls.filter(({ n }) => n > ack) };
  }

  put(type: string, id: string, { client, ack, calls }: NumberedCalls, atMs: number): void {
    if (ack > 0) this.#sql.putAck.run(type, id, client, ack, atMs, this.#ackCrc(type, id, client, { ack, atMs }));
    for (const { n, outcome, atMs: endedMs } of calls) {
      const text = JSON.stringify(outcome);
      const crc = this.#callCrc(type, id, client, { n, atMs: endedMs, outcome: text });
      this.#sql.putCall.run(type, id, client, n, endedMs, crc, text);
    }
    this.#sql.dropAcked.run({ type, id, client });
  }

  purge(beforeMs: number, rowsMax: number): void {
    this.#sql.purgeCalls.run(beforeMs, rowsMax);
    this.#sql.purgeAcks.run(beforeMs, rowsMax);
  }

  /** Has of the actor what another file has; acks keep their age. @throws DamagedActorError */
  take(from: NumberedTable, type: string, id: string): void {
    this.#sql.removeCalls.run(type, id);
    this.#sql.removeAcks.run(type, id);
    for (const client of from.clients(type, id)) {
      const calls = from.read(type, id, client);
      if (calls !== undefined) this.put(type, id, calls, from.#sql.ack.get(type, id, client)?.atMs ?? 0);
    }
  }

  /** Checks every row. @returns how many there are @throws DamagedActorError */
  check(skips: Skips): { numbered: number; acks: number } {
    const rows = { numbered: 0, acks: 0 };
    for (const row of this.#sql.everyCall.iterate()) {
      rows.numbered += 1;
      if (!skips(row.type, row.id)) this.#needCall(row.type, row.id, row.client, row);
    }
    for (const row of this.#sql.everyAck.iterate()) {
      rows.acks += 1;
      if (!skips(row.type, row.id)) this.#needAck(row.type, row.id, row.client, row);
    }
    return rows;
  }

  #needCall(type: string, id: string, client: string, row: CallRow): void {
    if (typeof row.outcome !== 'string' || row.crc !== this.#callCrc(type, id, client, row))
      throw this.#damaged(type, id);
  }

  #needAck(type: string, id: string, client: string, row: AckRow): void {
    if (row.crc !== this.#ackCrc(type, id, client, row)) throw this.#damaged(type, id);
  }

  #ackCrc(type: string, id: string, client: string, { ack, atMs }: Omit<AckRow, 'crc'>): number {
    return rowCrc('acks', this.#tenant, type, id, client, ack, atMs);
  }

  #callCrc(type: string, id: string, client: string, { n, atMs, outcome }: Omit<CallRow, 'crc'>): number {
    return rowCrc('numbered', this.#tenant, type, id, client, n, atMs, outcome);
  }

  #damaged(type: string, id: string): DamagedActorError {
    return new DamagedActorError(`a numbered call of ${type}/${id} of tenant ${this.#tenant} fails its check`);
  }
}
