/**
 * Latencies in bounded memory: microseconds, exact below 2,048, then 1,024 steps per power of two (0.1 %), after the
 * idea of HdrHistogram. Recording is one array increment.
 */
const exactUs = 2048;
const stepsPerPower = 1024;

export class Histogram {
  readonly #counts = new Float64Array(exactUs + 20 * stepsPerPower);
  #count = 0;
  #maxMs = 0;

  get count(): number {
    return this.#count;
  }

  record(ms: number): void {
    const us = Math.max(0, Math.round(ms * 1000));
    this.#counts[indexOf(us)]! += 1;
    this.#count += 1;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#count = 0;
    this.#maxMs = 0;
  }

  /** Milliseconds that `share` (0 to 1) of all samples do not exceed. */
  percentileMs(share: number): number {
    const rank = Math.max(1, Math.ceil(this.#count * share));
    let seen = 0;
    for (const [index, count] of this.#counts.entries()) {
      seen += count;
      if (seen >= rank) return Math.min(usOf(index) / 1000, this.#maxMs);
    }
    return this.#maxMs;
  }

  summary(): { p50: number; p99: number; max: number } {
    return { p50: this.percentileMs(0.5), p99: this.percentileMs(0.99), max: this.#maxMs };
  }
}

function indexOf(us: number): number {
  if (us < exactUs) return us;
  const shift = Math.min(20, Math.floor(Math.log2(us)) - 10);
  return exactUs + (shift - 1) * stepsPerPower + Math.min(stepsPerPower - 1, (us >>> shift) - stepsPerPower);
}

/** The upper edge of a step. */
function usOf(index: number): number {
  if (index < exactUs) return index;
  const shift = Math.floor((index - exactUs) / stepsPerPower) + 1;
  return (((index - exactUs) % stepsPerPower) + stepsPerPower + 1) * 2 ** shift;
}
