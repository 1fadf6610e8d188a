/**
 * When the keeper writes: `delayMs` after the first entry, all tenants in one round, a slice at a time so that questions
 * are answered in between.
 *
 * A round over many tenants costs an fsync each, on the disk that the journals wait for. So the pause before the next
 * round grows with the length of the last, and more is coalesced exactly when that helps. What could not be written is
 * tried again each second. Real time, not the clock's: this paces work and stands in no record.
 */
import type { Clock } from '../host/clock.ts';

export interface Flushing {
  /** What there is to flush. */
  due(): string[];
  /** @returns false when it has to be tried again */
  flush(name: string): boolean;
  /** Called after every slice. */
  done(): void;
}

const sliceMsMax = 10;
const pauseMsMax = 2000;
const retryMs = 1000;

export class FlushTimer {
  readonly #delayMs: number;
  readonly #clock: Clock;
  readonly #work: Flushing;
  #timer: NodeJS.Timeout | undefined;
  #round: { readonly names: string[]; at: number; readonly startedMs: number; failed: boolean } | undefined;
  #pauseMs: number;
  #stopped = false;

  constructor(delayMs: number, clock: Clock, work: Flushing) {
    this.#delayMs = delayMs;
    this.#clock = clock;
    this.#work = work;
    this.#pauseMs = delayMs;
  }

  /** There is something to flush; `now`: do not wait for more, unless the last round failed. */
  start(now: boolean): void {
    if (this.#stopped || this.#round !== undefined) return;
    if (this.#timer !== undefined && (!now || this.#pauseMs === retryMs)) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#begin(), now ? 0 : this.#pauseMs);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#round = undefined;
  }

  #begin(): void {
    this.#timer = undefined;
    this.#round = { names: this.#work.due(), at: 0, startedMs: this.#clock.monotonic(), failed: false };
    this.#slice();
  }

  #slice(): void {
    const round = this.#round;
    if (round === undefined) return;
    const endMs = this.#clock.monotonic() + sliceMsMax;
    while (round.at < round.names.length && this.#clock.monotonic() < endMs) {
      if (!this.#work.flush(round.names[round.at]!)) round.failed = true;
      round.at += 1;
    }
    this.#work.done();
    if (round.at < round.names.length) setImmediate(() => this.#slice());
    else this.#end(round.startedMs, round.failed);
  }

  #end(startedMs: number, failed: boolean): void {
    this.#round = undefined;
    const tookMs = this.#clock.monotonic() - startedMs;
    this.#pauseMs = failed ? retryMs : Math.max(this.#delayMs, Math.min(2 * tookMs, pauseMsMax));
    if (this.#work.due().length > 0) this.start(false);
  }
}
