/**
 * The right to commit, for a while: main renews it as long as the cluster says that this node owns its slots, shards look at
 * it in every commit. Shared memory, because a thread that wakes up late must see at once that its time is over.
 *
 * Counted on two clocks, the monotonic one and the wall clock, because each of them can stand still while others go on (a
 * suspended machine, a clock that was set back): whichever says that more time has passed is believed. Without a cluster there
 * is no lease.
 */
export class Lease {
  readonly memory: SharedArrayBuffer;
  /** [monotonic ms, wall clock ms] of its end; 0 before the first one. */
  readonly #ends: Float64Array;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(16)) {
    this.memory = memory;
    this.#ends = new Float64Array(memory);
  }

  /** From the moment at which it was asked for: what the answer took is not its holder's. */
  renew(askedMonotonicMs: number, askedWallMs: number, leaseMs: number): void {
    this.#ends[0] = askedMonotonicMs + leaseMs;
    this.#ends[1] = askedWallMs + leaseMs;
  }

  end(): void {
    this.#ends[0] = 0;
    this.#ends[1] = 0;
  }

  get held(): boolean {
    return processMonotonicMs() < this.#ends[0]! && Date.now() < this.#ends[1]!;
  }
}

/** Milliseconds on a clock that all threads of the process share; `performance.now()` begins anew in each. */
export function processMonotonicMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}
