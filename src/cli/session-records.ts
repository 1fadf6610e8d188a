/**
 * Carries what gateways know of their clients' sessions to the keeper, once per second: who is connected, who was cut off,
 * who has left. It is information for people (`fermata inspect sessions`); presence itself lies in the journals, so that a
 * crash may cost the last second of this.
 */
import type { Logger } from '../host/log.ts';
import type { Thread } from '../host/thread.ts';
import type { SessionRecord } from '../storage/contract.ts';
import type { Fronts } from './server-parts.ts';

const everyMs = 1000;

export class SessionRecords {
  readonly #fronts: Fronts;
  readonly #keeper: Thread;
  readonly #log: Logger;
  /** Sessions that have not ended, by gateway, so that they can be ended when it dies. */
  readonly #alive: Map<string, SessionRecord>[] = [];
  #endings: SessionRecord[] = [];
  #timer: NodeJS.Timeout | undefined;
  #under: Promise<void> = Promise.resolve();

  constructor(fronts: Fronts, keeper: Thread, log: Logger) {
    this.#fronts = fronts;
    this.#keeper = keeper;
    this.#log = log;
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#under = this.#carry().finally(() => {
        if (this.#timer !== undefined) this.start();
      });
    }, everyMs);
    this.#timer.unref();
  }

  /** After the gateways were closed: the last word on every session. */
  async stop(): Promise<void> {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#under;
    await this.#carry();
  }

  /** A gateway died, and its sessions with it. */
  lost(gateway: number): void {
    for (const record of this.#alive[gateway]?.values() ?? [])
      this.#endings.push({ ...record, status: 'inactive', reason: 'crash', seenMs: Date.now() });
    this.#alive[gateway]?.clear();
  }

  async #carry(): Promise<void> {
    const endings = this.#endings;
    this.#endings = [];
    try {
      const taken = await this.#fronts.ask<SessionRecord[]>('takeSessionRecords');
      for (const [gateway, records] of taken.entries())
        if (records !== undefined) this.#note((this.#alive[gateway] ??= new Map()), records);
      const records = [...endings, ...taken.flatMap((records) => records ?? [])];
      if (records.length > 0) await this.#keeper.ask('putSessions', records);
    } catch (error) {
      this.#endings.unshift(...endings);
      // A thread that died is its owner's affair.
      this.#log.debug({ err: error }, 'the records of sessions could not be carried on');
    }
  }

  #note(alive: Map<string, SessionRecord>, records: readonly SessionRecord[]): void {
    for (const record of records) {
      if (record.status === 'inactive') alive.delete(record.sessionId);
      else alive.set(record.sessionId, record);
    }
  }
}
