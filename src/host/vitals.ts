/**
 * Signs of life of one shard thread, in memory that it shares with main: a pulse, and which call it is running.
 *
 * The pulse tells an endless loop from a busy thread; the call tells which one was running when the thread died. Shared
 * memory, because a dead or looping thread answers no question. The shard writes, main reads.
 */
/** Milliseconds between two beats. */
export const pulseMs = 250;

export class Vitals {
  readonly memory: SharedArrayBuffer;
  readonly #pulse: Int32Array;
  /** [gateway + 1, call]; 0 when no call runs. Call numbers are whole and stay exact up to 2^53. */
  readonly #running: Float64Array;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(24)) {
    this.memory = memory;
    this.#pulse = new Int32Array(memory, 0, 1);
    this.#running = new Float64Array(memory, 8, 2);
  }

  beat(): void {
    Atomics.add(this.#pulse, 0, 1);
  }

  get beats(): number {
    return Atomics.load(this.#pulse, 0);
  }

  /** Code of this call is about to run. Once per turn and resumption, so plain stores: main reads after the thread's end. */
  begin(gateway: number, call: number): void {
    this.#running[0] = gateway + 1;
    this.#running[1] = call;
  }

  end(): void {
    this.#running[0] = 0;
  }

  get running(): { gateway: number; call: number } | undefined {
    const gateway = this.#running[0]!;
    return gateway === 0 ? undefined : { gateway: gateway - 1, call: this.#running[1]! };
  }
}
