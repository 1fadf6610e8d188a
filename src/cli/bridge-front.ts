/**
 * The bridge, from main's side: to shards it is what a gateway is in one process. It brings the slots that the cluster gives
 * to this node to life, and sees to it that a slot is marked as holding data before the first of its calls is run.
 *
 * Without it no call comes in, so its death ends the process, which is to be started again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { MessagePort } from 'node:worker_threads';
import type { NatsConfig } from '../host/config.ts';
import type { Lease } from '../host/lease.ts';
import { Thread } from '../host/thread.ts';
import { exitCodes } from './exit-codes.ts';
import { type Fronts, type ServerParts, watchVital } from './server-parts.ts';

const markAgainMs = 1000;

export interface BridgeGiven {
  readonly nats: NatsConfig;
  /** Names the process on NATS. */
  readonly runtime: string;
  /** The bridge's ends, one per shard. */
  readonly cables: readonly MessagePort[];
  readonly lease: Lease;
  /** False when gateways of this process do. */
  readonly countsCalls: boolean;
}

export class BridgeFront implements Fronts {
  readonly #parts: ServerParts;
  readonly #thread: Thread;

  constructor(parts: ServerParts, { cables, lease, ...given }: BridgeGiven) {
    const { config, boot, logOptions: log } = parts;
    const data = { ...given, boot, limits: config.limits, lease: lease.memory, ports: cables, log };
    this.#parts = parts;
    this.#thread = watchVital(new Thread('bridge', 'bridge', data, cables), parts, exitCodes.internal);
  }

  get threads(): readonly Thread[] {
    return [this.#thread];
  }

  async ask<T = void>(question: string, argument?: unknown): Promise<(T | undefined)[]> {
    try {
      return [await this.#thread.ask<T>(question, argument)];
    } catch (error) {
      if (this.#thread.isAlive) throw error;
      return [undefined];
    }
  }

  /** @throws Error when NATS cannot be reached */
  async start(): Promise<void> {
    await this.#thread.ask('start');
  }

  /** From now on, `markData` writes down for all to see that a slot's data lies here. */
  markBy(markData: (slot: number) => Promise<void>): void {
    void this.#mark(markData);
  }

  async take(slot: number, epoch: number): Promise<void> {
    await this.#thread.ask('take', { slot, epoch });
  }

  /** What was begun is answered; what was not waits for the next owner. Its sessions go on there. */
  async giveUp(slot: number): Promise<void> {
    await this.#thread.ask('release', slot);
    await this.#thread.ask('forget', slot);
  }

  /** Slots are kept, but no more of their calls are taken. Settles when what was begun is answered. */
  async stopTaking(): Promise<void> {
    await this.ask('stopTaking');
    await this.ask('settled');
  }

  async close(): Promise<void> {
    await this.ask('close');
  }

  async terminate(): Promise<void> {
    await this.#thread.terminate();
  }

  async #mark(markData: (slot: number) => Promise<void>): Promise<void> {
    try {
      for (;;) {
        const slot = await this.#thread.ask<number | undefined>('nextUnmarked');
        if (slot === undefined) return;
        void this.#markOne(slot, markData);
      }
    } catch (error) {
      // The thread's death is told elsewhere.
      this.#parts.log.debug({ err: error }, 'the bridge asks no more for slots to be marked');
    }
  }

  async #markOne(slot: number, markData: (slot: number) => Promise<void>): Promise<void> {
    try {
      await markData(slot);
      await this.#thread.ask('marked', slot);
    } catch (error) {
      this.#parts.log.warn({ slot, err: error }, 'a slot could not be marked as holding data; its calls wait');
      await sleep(markAgainMs, undefined, { ref: false });
      await this.ask('markAgain', slot).catch(() => undefined);
    }
  }
}
