/**
 * Who leaves memory, and when: actors idle for long, and under memory pressure the longest idle first. Actors with
 * subscribers stay: they are in use, whoever calls.
 *
 * A sweep looks at a bounded number of actors, going round the table, so that its pause does not grow with the table.
 */
import type { Limits } from '../protocol/limits.ts';
import type { Activation } from './activation.ts';
import type { Activations } from './activations.ts';

/** Actors looked at per sweep: about a millisecond. */
const sweepMax = 20_000;

export class Eviction {
  readonly #activations: Activations;
  readonly #limits: Limits;
  #round: Iterator<Activation> | undefined;
  #roundStateChars = 0;
  /** Characters of state and what goes with it, as the last full round found. */
  #stateChars = 0;

  constructor(activations: Activations, limits: Limits) {
    this.#activations = activations;
    this.#limits = limits;
  }

  /** Characters of state and what goes with it, as the last full round found. */
  get stateChars(): number {
    return this.#stateChars;
  }

  sweep(nowMs: number): void {
    for (let looked = 0; looked < sweepMax; looked += 1) {
      this.#round ??= this.#activations.all();
      const next = this.#round.next();
      if (next.done === true) {
        this.#round = undefined;
        this.#stateChars = this.#roundStateChars;
        this.#roundStateChars = 0;
        break;
      }
      this.#roundStateChars += charsOf(next.value);
      if (next.value.idle && nowMs - next.value.lastUsedMs >= this.#limits.actorIdleMs)
        this.#activations.evict(next.value);
    }
    if (this.#stateChars > this.#limits.shardStateBytesMax) this.#relieve();
  }

  /** The table is full: a twentieth of it goes, the longest idle first. */
  makeRoom(): void {
    for (const activation of this.#idle().slice(0, Math.ceil(this.#activations.size / 20))) {
      this.#activations.evict(activation);
    }
  }

  /** Over the bound: down to nine tenths of it, so that not every sweep has to. */
  #relieve(): void {
    for (const activation of this.#idle()) {
      if (this.#stateChars <= this.#limits.shardStateBytesMax * 0.9) return;
      this.#stateChars -= charsOf(activation);
      this.#activations.evict(activation);
    }
  }

  /** Longest idle first. */
  #idle(): Activation[] {
    const idle = this.#activations.list().filter((activation) => activation.idle);
    return idle.sort((a, b) => a.lastUsedMs - b.lastUsedMs);
  }
}

function charsOf({ stateChars, outcomes, numbered, patches, events }: Activation): number {
  return stateChars + outcomes.chars + numbered.chars + patches.chars + events.chars;
}
