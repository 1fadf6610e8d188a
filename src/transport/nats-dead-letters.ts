/**
 * Frames that cannot be handled are put aside in a stream of their own, for people, with the reason beside them. The original
 * is given up only when its dead letter is stored.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { headers, type NatsConnection } from 'nats';
import type { LogGate } from '../host/log-gate.ts';
import { requestMs } from './nats-bounds.ts';
import { subjects } from './nats-names.ts';

/** Headers of a dead letter. */
export const deadLetterHeaders = {
  kind: 'Fermata-Kind',
  reason: 'Fermata-Reason',
  gateway: 'Fermata-Gateway',
  at: 'Fermata-At',
  deliveries: 'Fermata-Deliveries',
} as const;

/**
 * `undone`: its calls may have run in part, and can be made again · `illegal`: it holds what no gateway of this version says ·
 * `unreadable`: it is no frame at all.
 */
export const deadLetterKinds = ['undone', 'illegal', 'unreadable'] as const;

export interface DeadLetter {
  readonly kind: (typeof deadLetterKinds)[number];
  readonly slot: number;
  readonly data: Uint8Array;
  readonly reason: string;
  /** '' when it could not be read. */
  readonly gateway: string;
  readonly deliveries: number;
}

export class NatsDeadLetters {
  readonly #nc: NatsConnection;
  readonly #gate: LogGate;
  readonly #now: () => number;
  #closed = false;
  count = 0;

  constructor(nc: NatsConnection, gate: LogGate, now: () => number) {
    this.#nc = nc;
    this.#gate = gate;
    this.#now = now;
  }

  /** True when it is stored. False when this is closed before: then the original stays. */
  async bury({ kind, slot, data, reason, gateway, deliveries }: DeadLetter): Promise<boolean> {
    this.count += 1;
    const about = { slot, kind, reason, gateway, deliveries };
    this.#gate.write('dead letter', 'error', about, 'a frame of calls cannot be handled and is put aside');
    const with_ = headers();
    with_.set(deadLetterHeaders.kind, kind);
    with_.set(deadLetterHeaders.reason, reason.replace(/[^\x20-\x7e]/g, ' ').slice(0, reasonCharsMax));
    with_.set(deadLetterHeaders.gateway, gateway);
    with_.set(deadLetterHeaders.at, new Date(this.#now()).toISOString());
    with_.set(deadLetterHeaders.deliveries, String(deliveries));
    while (!this.#closed && !this.#nc.isClosed()) {
      if (await this.#store(slot, data, with_)) return true;
      await delay(1000, undefined, { ref: false });
    }
    return false;
  }

  close(): void {
    this.#closed = true;
  }

  async #store(slot: number, data: Uint8Array, with_: ReturnType<typeof headers>): Promise<boolean> {
    // What is asked without a connection waits in the library.
    if (this.#nc.info === undefined) return false;
    try {
      const answer = await this.#nc.request(subjects.dead(slot), data, { timeout: requestMs, headers: with_ });
      const { error } = answer.json<{ error?: unknown }>();
      if (error === undefined) return true;
      this.#gate.write('burial', 'error', { slot, error }, 'a dead letter could not be stored');
    } catch (error) {
      this.#gate.write('burial', 'warn', { slot, error: String(error) }, 'a dead letter could not be stored');
    }
    return false;
  }
}

const reasonCharsMax = 300;
