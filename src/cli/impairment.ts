import type { Phase } from '../host/phase.ts';

/** Milliseconds without one of its shards after which the process is not ready any more. */
const awayMsMax = 5000;

/** A shard that is not back soon: balancers should send new traffic elsewhere, while the other shards go on. */
export class Impairment {
  readonly #phase: Phase;
  #timer: NodeJS.Timeout | undefined;

  constructor(phase: Phase) {
    this.#phase = phase;
  }

  setAway(away: boolean): void {
    this.stop();
    if (!away) this.#phase.setImpaired(false);
    else this.#timer = setTimeout(() => this.#phase.setImpaired(true), awayMsMax).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
