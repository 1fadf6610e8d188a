/**
 * Carries what gateways know of their clients' sessions to the keeper, once per second: who is connected, who was cut off,
 * who has left. It is information for people (`fermata inspect sessions`); presence itself lies in the journals, so that a
 * crash may cost the last second of this.
 */
import type { Logger } from '../host/log.ts';
import type { Thread } from '../host/thread.ts';
import type { SessionRecord } from '../storage/contract.ts';

const everyMs = 1000;

export class SessionRecords {
  readonly #gateways: readonly Thread[];
  readonly #keeper: Thread;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #under: Promise<void> = Promise.resolve();

  constructor(gateways: readonly Thread[], keeper: Thread, log: Logger) {
    this.#gateways = gateways;
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

  async #carry(): Promise<void> {
    try {
      const taken = await Promise.all(
        this.#gateways.map((gateway) => gateway.ask<SessionRecord[]>('takeSessionRecords')),
      );
      const records = taken.flat();
      if (records.length > 0) await this.#keeper.ask('putSessions', records);
    } catch (error) {
      // A thread that died is its owner's affair.
      this.#log.debug({ err: error }, 'the records of sessions could not be carried on');
    }
  }
}
