/**
 * Sessions of a tenant's clients, in its file: information for people, which no answer to a client depends on. So rows
 * carry no CRC. `noted_ms` is when a row was last written: of a session that ended in a crash nobody knows more.
 */
import type { SessionRecord } from './contract.ts';
import type { Db } from './sqlite.ts';

export type StoredSession = Omit<SessionRecord, 'tenant'>;

export class SessionTable {
  readonly #sql;

  constructor(db: Db) {
    this.#sql = {
      // Several gateways may tell of one session that moved; the latest word counts.
      put: db.prepare<[SessionRecord & { notedMs: number }]>(
        `INSERT INTO sessions (session_id, client_id, user_id, status, reason, boot, connected_ms, seen_ms, noted_ms)
         VALUES ($sessionId, $clientId, $userId, $status, $reason, $boot, $connectedMs, $seenMs, $notedMs)
         ON CONFLICT (session_id) DO UPDATE SET client_id = excluded.client_id, user_id = excluded.user_id,
           status = excluded.status, reason = excluded.reason, boot = excluded.boot, connected_ms = excluded.connected_ms,
           seen_ms = excluded.seen_ms, noted_ms = excluded.noted_ms WHERE excluded.seen_ms >= sessions.seen_ms`,
      ),
      stale: db
        .prepare<[string], number>(
          "SELECT 1 FROM sessions WHERE status IN ('active', 'detached') AND boot <> ? LIMIT 1",
        )
        .pluck(),
      endStale: db.prepare<[number, string]>(
        "UPDATE sessions SET status = 'inactive', reason = 'crash', noted_ms = ? WHERE status IN ('active', 'detached') AND boot <> ?",
      ),
      newest: db.prepare<[number], StoredSession>(
        `SELECT session_id AS sessionId, client_id AS clientId, user_id AS userId, status, reason, boot,
           connected_ms AS connectedMs, seen_ms AS seenMs FROM sessions ORDER BY connected_ms DESC, session_id LIMIT ?`,
      ),
      purge: db.prepare(
        `DELETE FROM sessions WHERE session_id IN
           (SELECT session_id FROM sessions WHERE status = 'inactive' AND noted_ms < ? LIMIT ?)`,
      ),
      ended: db.prepare<[], number>("SELECT count(*) FROM sessions WHERE status = 'inactive'").pluck(),
      count: db.prepare<[], number>('SELECT count(*) FROM sessions').pluck(),
      trim: db.prepare(
        `DELETE FROM sessions WHERE session_id IN
           (SELECT session_id FROM sessions WHERE status = 'inactive' ORDER BY noted_ms, session_id LIMIT ?)`,
      ),
    };
  }

  put(record: SessionRecord, nowMs: number): void {
    this.#sql.put.run({ ...record, notedMs: nowMs });
  }

  /** Is any of another run of the process than this not inactive? */
  anyStale(boot: string): boolean {
    return this.#sql.stale.get(boot) !== undefined;
  }

  /** @returns how many */
  endStale(boot: string, nowMs: number): number {
    return this.#sql.endStale.run(nowMs, boot).changes;
  }

  count(): number {
    return this.#sql.count.get() ?? 0;
  }

  newest(max: number): StoredSession[] {
    return this.#sql.newest.all(max);
  }

  /** Keeps so many of those that ended. */
  trim(endedMax: number): void {
    const over = (this.#sql.ended.get() ?? 0) - endedMax;
    if (over > 0) this.#sql.trim.run(over);
  }

  purge(notedBeforeMs: number, rowsMax: number): void {
    this.#sql.purge.run(notedBeforeMs, rowsMax);
  }
}
