/**
 * How far a thread is with a long piece of work, in memory that it shares with main: a thread that is busy answers no
 * question. The worker writes, main reads.
 */
export class Progress {
  readonly memory: SharedArrayBuffer;
  /** [done, total]. */
  readonly #counts: Int32Array;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(8)) {
    this.memory = memory;
    this.#counts = new Int32Array(memory);
  }

  set(done: number, total: number): void {
    // The total first: a reader in between sees too little done, never more than there is.
    Atomics.store(this.#counts, 1, total);
    Atomics.store(this.#counts, 0, done);
  }

  get done(): number {
    return Atomics.load(this.#counts, 0);
  }

  get total(): number {
    return Atomics.load(this.#counts, 1);
  }
}
