/**
 * Tells the caller of slots that come and go, one thing at a time for each slot: first the end of what was, then the new.
 *
 *   wanted(slot): the epoch that the slot should be served under, or none
 *      │ sync(slot)
 *      ▼
 *   onLost(slot) ──▶ onTaken(slot, epoch) ──▶ served ──▶ …until it is what is wanted
 *
 * A taking that fails is tried again under a higher epoch, because half of it may have happened.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../host/log.ts';

export interface SlotServingParts {
  readonly wanted: (slot: number) => number | undefined;
  /** Begins to serve. */
  readonly onTaken: (slot: number, epoch: number) => Promise<void>;
  readonly onLost: (slot: number) => void | Promise<void>;
  /** Raises the epoch on record. @throws Error when it cannot */
  readonly renumber: (slot: number) => Promise<void>;
  readonly log: Logger;
}

const pauseMs = 1000;

export class SlotServing {
  readonly #parts: SlotServingParts;
  readonly #served = new Map<number, number>();
  /** Of each slot about which something is being told: settles when that was tried once. */
  readonly #busy = new Map<number, Promise<void>>();
  #stopped = false;

  constructor(parts: SlotServingParts) {
    this.#parts = parts;
  }

  /** Settles when what is wanted was tried once. */
  sync(slot: number): Promise<void> {
    let tried = this.#busy.get(slot);
    if (tried !== undefined) return tried;
    tried = new Promise((resolve) => {
      void this.#follow(slot, resolve).then(() => {
        this.#busy.delete(slot);
        resolve();
        if (!this.#stopped && this.#served.get(slot) !== this.#parts.wanted(slot)) void this.sync(slot);
      });
    });
    this.#busy.set(slot, tried);
    return tried;
  }

  /** Nothing is told any more. */
  stop(): void {
    this.#stopped = true;
  }

  async #follow(slot: number, tried: () => void): Promise<void> {
    const { wanted, onTaken, onLost, renumber, log } = this.#parts;
    let failedEpoch: number | undefined;
    for (;;) {
      const epoch = wanted(slot);
      const served = this.#served.get(slot);
      if (this.#stopped || epoch === served) return;
      try {
        if (served !== undefined) {
          await onLost(slot);
          this.#served.delete(slot);
        } else if (epoch === failedEpoch) {
          await renumber(slot);
        } else if (epoch !== undefined) {
          failedEpoch = epoch;
          await onTaken(slot, epoch);
          this.#served.set(slot, epoch);
        }
      } catch (error) {
        log.error({ err: error, slot, epoch }, 'a slot cannot be served yet; it is tried again every second');
        tried();
        await delay(pauseMs, undefined, { ref: false });
      }
    }
  }
}
