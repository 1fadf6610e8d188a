/** Time that moves when the test says so, and randomness that the test chooses. */
import type { Cancel, Clock } from '../../src/client/clock.ts';

interface Timer {
  readonly dueAt: number;
  readonly run: () => void;
}

export class ManualClock implements Clock {
  readonly #timers = new Set<Timer>();
  #now = 0;
  /** What `random()` gives. */
  chance = 0.5;

  now(): number {
    return this.#now;
  }

  /** The first of January 2030, and what has passed since the start. */
  wallMs(): number {
    return 1_893_456_000_000 + this.#now;
  }

  random(): number {
    return this.chance;
  }

  after(delayMs: number, run: () => void): Cancel {
    const timer = { dueAt: this.#now + delayMs, run };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Milliseconds until each timer that is set, soonest first. */
  get pendingMs(): number[] {
    return [...this.#timers].map(({ dueAt }) => dueAt - this.#now).toSorted((a, b) => a - b);
  }

  /** Runs what falls due on the way, in order. */
  advance(ms: number): void {
    const target = this.#now + ms;
    for (;;) {
      const [next] = [...this.#timers].filter(({ dueAt }) => dueAt <= target).toSorted((a, b) => a.dueAt - b.dueAt);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = next.dueAt;
      next.run();
    }
    this.#now = target;
  }
}
