/**
 * Records of clients' sessions, for people who look at a tenant, on their way into its file.
 *
 *   main ── add(records) ──▶ the latest of each session ── with the keeper's next round ──▶ tenants/<tenant>/tenant.db
 *   a file is opened for the first time ──▶ sessions of another run of the process end there: `crash`
 *
 * No answer to a client depends on them. So what cannot be written is logged and dropped, and closes nothing off.
 */
import type { Clock } from '../host/clock.ts';
import type { Logger } from '../host/log.ts';
import type { Limits } from '../protocol/limits.ts';
import type { SessionRecord } from './contract.ts';
import { isFull } from './sqlite.ts';
import type { TenantFile } from './tenant-file.ts';

export interface TenantSessionsParts {
  readonly boot: string;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly log: Logger;
}

export class TenantSessions {
  readonly #parts: TenantSessionsParts;
  readonly #waiting = new Map<string, Map<string, SessionRecord>>();
  /** How many were left by a former process, by tenant. */
  readonly #stale = new Map<string, number>();

  constructor(parts: TenantSessionsParts) {
    this.#parts = parts;
  }

  add(records: readonly SessionRecord[]): void {
    for (const record of records) {
      let sessions = this.#waiting.get(record.tenant);
      if (sessions === undefined) this.#waiting.set(record.tenant, (sessions = new Map()));
      const known = sessions.get(record.sessionId);
      if (known === undefined || known.seenMs <= record.seenMs) sessions.set(record.sessionId, record);
    }
  }

  /** Tenants of which some wait. */
  get tenants(): string[] {
    return [...this.#waiting.keys()];
  }

  /** Gives up what waits of a tenant. */
  drop(tenant: string): void {
    this.#waiting.delete(tenant);
  }

  /** Writes what waits of a tenant, or drops it: also when `open` yields none. @returns false when its file must be opened anew */
  write(tenant: string, open: () => TenantFile | undefined): boolean {
    const records = this.#waiting.get(tenant);
    this.drop(tenant);
    if (records === undefined) return true;
    const { clock, limits, log } = this.#parts;
    try {
      const nowMs = clock.now();
      const keep = { sinceMs: nowMs - limits.sessionRecordMs, endedMax: limits.sessionRecordsMax };
      open()?.putSessions([...records.values()], nowMs, keep);
      return true;
    } catch (error) {
      log.warn(
        { tenant, sessions: records.size, err: error },
        'records of sessions could not be written and are dropped',
      );
      return isFull(error);
    }
  }

  /** @throws CommitError, and then the file must be opened anew */
  endStale(file: TenantFile): void {
    const ended = file.endStaleSessions(this.#parts.boot, this.#parts.clock.now());
    if (ended > 0) this.#stale.set(file.tenant, ended);
  }

  /** How many sessions a former process left, by tenant, as far as files were opened since. */
  get stale(): ReadonlyMap<string, number> {
    return this.#stale;
  }
}
