/**
 * How long to wait before the next attempt: a random share of a delay that doubles (full jitter, so that clients which
 * were cut off together do not come back together). Its owner resets it once a connection has proved itself, never on a
 * mere TCP connect: a server that accepts and drops would be stormed.
 */
export interface BackoffOptions {
  /** Upper bound of the first delay, milliseconds. Default 250. */
  readonly baseMs?: number;
  /** Growth of the bound per attempt. Default 2. */
  readonly factor?: number;
  /** Largest bound, milliseconds. Default 10,000. */
  readonly capMs?: number;
}

export class Backoff {
  readonly #random: () => number;
  readonly #baseMs: number;
  readonly #factor: number;
  readonly #capMs: number;
  #attempts = 0;

  constructor(options: BackoffOptions, random: () => number) {
    this.#random = random;
    this.#baseMs = options.baseMs ?? 250;
    this.#factor = options.factor ?? 2;
    this.#capMs = options.capMs ?? 10_000;
  }

  nextDelayMs(): number {
    const boundMs = Math.min(this.#capMs, this.#baseMs * this.#factor ** this.#attempts);
    this.#attempts += 1;
    return this.#random() * boundMs;
  }

  reset(): void {
    this.#attempts = 0;
  }
}
