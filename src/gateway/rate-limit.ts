/**
 * A token bucket: `perSecond` on average, `burst` at once. Time is passed in, so that one clock reading serves many.
 */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #atMs: number;

  /** `perSecond` 0 turns the limit off. */
  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
    this.#atMs = nowMs;
  }

  /** Takes one token; false when there is none. */
  take(nowMs: number): boolean {
    if (this.#perMs === 0) return true;
    this.#tokens = Math.min(this.#burst, this.#tokens + (nowMs - this.#atMs) * this.#perMs);
    this.#atMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Milliseconds, counted from the last take, until a token is there. */
  get waitMs(): number {
    return this.#perMs === 0 ? 0 : Math.max(0, Math.ceil((1 - this.#tokens) / this.#perMs));
  }
}
