/**
 * Where the process is in its life and whether it works, shared by all threads through twelve bytes of memory. Main writes,
 * gateways read on every request: a message could arrive late, a word in shared memory cannot.
 */
export const phases = ['starting', 'ready', 'draining'] as const;
export type PhaseName = (typeof phases)[number];

/** What `/health` says: `ok`, or what the process cannot work without and has lost. */
export const healths = ['ok', 'nats-gone', 'jetstream-gone'] as const;
export type Health = (typeof healths)[number];

export class Phase {
  readonly memory: SharedArrayBuffer;
  readonly #word: Int32Array;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(12)) {
    this.memory = memory;
    this.#word = new Int32Array(memory);
  }

  get name(): PhaseName {
    return phases[Atomics.load(this.#word, 0)] ?? 'draining';
  }

  /** Shards that have not served for a while: the process works, but should get no new traffic. */
  get impaired(): boolean {
    return Atomics.load(this.#word, 1) !== 0;
  }

  /** Should it get new traffic? What `/ready` says. */
  get takesTraffic(): boolean {
    return this.name === 'ready' && !this.impaired;
  }

  get health(): Health {
    return healths[Atomics.load(this.#word, 2)] ?? 'ok';
  }

  get healthy(): boolean {
    return this.health === 'ok';
  }

  setHealth(health: Health): void {
    Atomics.store(this.#word, 2, healths.indexOf(health));
  }

  setImpaired(impaired: boolean): void {
    Atomics.store(this.#word, 1, impaired ? 1 : 0);
  }

  set(name: PhaseName): void {
    Atomics.store(this.#word, 0, phases.indexOf(name));
  }
}
