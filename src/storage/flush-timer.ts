/**
 * When the keeper writes: `delayMs` after the first entry, all tenants in one round, a slice at a time so that questions
 * are answered in between.
 *
 * A round over many tenants costs an fsync each, on the disk that the journals wait for. So the pause before the next
 * round grows with the length of the last, and more is coalesced exactly when that helps. What could not be written
 * waits for its own time, and holds up nothing else. Real time, not the clock's: this paces work and stands in no record.
 */
import type { Clock } from '../host/clock.ts';

export interface Flushing {
  /** What there is to flush now. */
  due(): string[];
  /** Is there something that failed and will be due again? */
  waits(): boolean;
  flush(name: string): void;
  /** Called after every slice. */
  done(): void;
}

const sliceMsMax = 10;
const pauseMsMax = 2000;
export class FlushTimer {
  readonly #delayMs: number;
  readonly #retryMs: number;
  readonly #clock: Clock;
  readonly #work: Flushing;
  #timer: { readonly timeout: NodeJS.Timeout; readonly atMs: number } | undefined;
  #round: { readonly names: string[]; at: number; readonly startedMs: number } | undefined;
  #pauseMs: number;
  #stopped = false;

  constructor(delayMs: number, retryMs: number, clock: Clock, work: Flushing) {
    this.#delayMs = delayMs;
    this.#retryMs = retryMs;
    this.#clock = clock;
    this.#work = work;
    this.#pauseMs = delayMs;
  }

  /** There is something to flush; `now`: do not wait for more. */
  start(now: boolean): void {
    if (!this.#stopped && this.#round === undefined) this.#startIn(now ? 0 : this.#pauseMs);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer?.timeout);
    this.#timer = undefined;
    this.#round = undefined;
  }

  /** The earliest wins. */
  #startIn(waitMs: number): void {
    const atMs = this.#clock.monotonic() + waitMs;
    if (this.#timer !== undefined && this.#timer.atMs <= atMs) return;
    clearTimeout(this.#timer?.timeout);
    this.#timer = { atMs, timeout: setTimeout(() => this.#begin(), waitMs) };
  }

  #begin(): void {
    this.#timer = undefined;
    this.#round = { names: this.#work.due(), at: 0, startedMs: this.#clock.monotonic() };
    this.#slice();
  }

  #slice(): void {
    const round = this.#round;
    if (round === undefined) return;
    const endMs = this.#clock.monotonic() + sliceMsMax;
    while (round.at < round.names.length && this.#clock.monotonic() < endMs) {
      this.#work.flush(round.names[round.at]!);
      round.at += 1;
    }
    this.#work.done();
    if (round.at < round.names.length) setImmediate(() => this.#slice());
    else this.#end(round.startedMs);
  }

  #end(startedMs: number): void {
    this.#round = undefined;
    const tookMs = this.#clock.monotonic() - startedMs;
    this.#pauseMs = Math.max(this.#delayMs, Math.min(2 * tookMs, pauseMsMax));
    if (this.#work.due().length > 0) this.start(false);
    if (this.#work.waits()) this.#startIn(this.#retryMs);
  }
}
