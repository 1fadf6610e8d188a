/**
 * The life of one slot's consumer under one epoch: made after the former ones were ended, looked for when it seems to have
 * vanished, deleted when nothing that it delivered is in doubt.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { LogGate } from '../host/log-gate.ts';
import { makeAgainMs } from './nats-bounds.ts';
import { type Doubt, deadlyOf, noDoubt } from './nats-doubt.ts';
import { type NatsSlotConsumers, SlotTakenError } from './nats-slot-consumers.ts';

export interface SlotConsumerParts {
  readonly slot: number;
  readonly epoch: number;
  readonly consumers: NatsSlotConsumers;
  readonly gate: LogGate;
  /** Makes the streams again. @throws Error while that cannot be */
  readonly ensureStreams: () => Promise<void>;
}

export class NatsSlotConsumer {
  readonly #parts: SlotConsumerParts;
  #doubt: Doubt = noDoubt('');
  /** When the stream was made that the consumer belongs to. */
  #stream = '';

  constructor(parts: SlotConsumerParts) {
    this.#parts = parts;
  }

  /** Messages up to this one may have been begun by a former owner. */
  get doubtUpTo(): number {
    return this.#doubt.upTo;
  }

  /** The message that must not be begun again; 0 for none. */
  get deadly(): number {
    return deadlyOf(this.#doubt);
  }

  /** Ends the former owners. @throws SlotTakenError, or Error when NATS does not answer */
  async fence(): Promise<void> {
    const { consumers, slot, epoch } = this.#parts;
    this.#doubt = await consumers.fence(slot, epoch);
  }

  async create(): Promise<void> {
    const { consumers, slot, epoch } = this.#parts;
    this.#doubt = await consumers.create(slot, epoch, this.#doubt);
    this.#stream = this.#doubt.created;
  }

  /**
   * Makes it again if it is gone, and tries for as long as `ours` says so. `emptied`: in a new stream, so that what waited in the
   * old one never comes · `taken`: somebody serves the slot under a higher epoch.
   */
  async recover(reason: string, ours: () => boolean): Promise<'same' | 'emptied' | 'taken'> {
    const { slot, epoch, gate } = this.#parts;
    gate.write('away', 'warn', { slot, epoch, reason }, 'the consumer of a slot is looked for');
    await delay(makeAgainMs, undefined, { ref: false });
    while (ours()) {
      try {
        return await this.#makeAgain();
      } catch (error) {
        if (error instanceof SlotTakenError) {
          gate.write('taken', 'warn', { slot, epoch }, error.message);
          return 'taken';
        }
        gate.write('recover', 'warn', { slot, error: String(error) }, 'the consumer of a slot could not be made again');
      }
      await delay(retryMs, undefined, { ref: false });
    }
    return 'same';
  }

  /** `left`: messages that were delivered and are left to the next owner. */
  async remove(left: () => number): Promise<void> {
    const { consumers, slot, epoch, gate } = this.#parts;
    const untilMs = performance.now() + acknowledgedMsMax;
    try {
      if (!consumers.connected) throw new Error('there is no connection to NATS');
      // Only when the server has seen every acknowledgement: otherwise the next owner must doubt.
      while ((await consumers.unacknowledged(slot, epoch)) > left()) {
        if (performance.now() > untilMs) throw new Error('the server has not seen all acknowledgements');
        await delay(5);
      }
      await consumers.remove(slot, epoch);
    } catch (error) {
      const about = { slot, epoch, error: String(error) };
      gate.write('release', 'warn', about, 'the consumer of a released slot was left behind');
    }
  }

  async #makeAgain(): Promise<'same' | 'emptied'> {
    const { consumers, slot, epoch, ensureStreams } = this.#parts;
    await ensureStreams();
    if (await consumers.exists(slot, epoch)) return 'same';
    const former = this.#stream;
    await this.fence();
    await this.create();
    return former === this.#stream ? 'same' : 'emptied';
  }
}

const retryMs = 1000;
const acknowledgedMsMax = 2000;
