/**
 * Where the process is in its life, shared by all threads through four bytes of memory. Main writes, gateways read on
 * every request: a message could arrive late, a word in shared memory cannot.
 */
export const phases = ['starting', 'ready', 'draining'] as const;
export type PhaseName = (typeof phases)[number];

export class Phase {
  readonly memory: SharedArrayBuffer;
  readonly #word: Int32Array;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(4)) {
    this.memory = memory;
    this.#word = new Int32Array(memory);
  }

  get name(): PhaseName {
    return phases[Atomics.load(this.#word, 0)] ?? 'draining';
  }

  set(name: PhaseName): void {
    Atomics.store(this.#word, 0, phases.indexOf(name));
  }
}
