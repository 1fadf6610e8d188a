/**
 * Tells gateways which slots this runtime serves: all of them when it begins with a slot, and single ones that seem not to
 * know. Those that were just told are left alone for a moment.
 */
import { beatMs } from './nats-bounds.ts';
import { subjects } from './nats-names.ts';
import { writeHello } from './nats-wire.ts';

export interface Served {
  readonly slot: number;
  readonly epoch: number;
}

export class NatsGreeter {
  readonly #runtime: string;
  readonly #monotonic: () => number;
  readonly #publish: (subject: string, data: Uint8Array) => void;
  /** When a gateway was told of a slot, or everybody was. */
  readonly #toldMs = new Map<string, number>();
  /** Gathered until the tick ends: slots are often taken together. */
  #gathered: Served[] = [];

  constructor(runtime: string, monotonic: () => number, publish: (subject: string, data: Uint8Array) => void) {
    this.#runtime = runtime;
    this.#monotonic = monotonic;
    this.#publish = publish;
  }

  greetAll(slot: number, epoch: number): void {
    if (this.#gathered.length === 0) setImmediate(() => this.#sendGathered());
    this.#gathered.push({ slot, epoch });
  }

  greet(gateway: string, served: readonly Served[]): void {
    const untold = served.filter(({ slot, epoch }) => this.#isUntold(`${gateway} ${slot} ${epoch}`));
    if (untold.length > 0) this.#publish(subjects.out(gateway), writeHello(this.#runtime, untold));
  }

  #isUntold(name: string): boolean {
    const nowMs = this.#monotonic();
    if (this.#toldMs.size > toldMax) this.#toldMs.clear();
    const told = this.#toldMs.get(name);
    if (told !== undefined && nowMs - told < quietMs) return false;
    this.#toldMs.set(name, nowMs);
    return true;
  }

  #sendGathered(): void {
    const gathered = this.#gathered;
    this.#gathered = [];
    this.#publish(subjects.hello, writeHello(this.#runtime, gathered));
  }
}

/** Just below the time between two beats, at which strangers are greeted again. */
const quietMs = beatMs * 0.8;
const toldMax = 100_000;
