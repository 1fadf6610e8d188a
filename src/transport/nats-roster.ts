/**
 * The gateways that a runtime hears: each gives a sign of life every second. One that is silent for too long is gone, unless
 * the runtime itself could not hear. Bounded: signs of more gateways than there can be are ignored.
 */
import { gatewaysMax, silenceMs } from './nats-bounds.ts';

export class NatsRoster {
  readonly #monotonic: () => number;
  readonly #heardMs = new Map<string, number>();

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  get gateways(): Iterable<string> {
    return this.#heardMs.keys();
  }

  has(gateway: string): boolean {
    return this.#heardMs.has(gateway);
  }

  heard(gateway: string): void {
    if (this.#heardMs.size < gatewaysMax || this.#heardMs.has(gateway)) this.#heardMs.set(gateway, this.#monotonic());
  }

  /** It said goodbye. False when it was not known. */
  left(gateway: string): boolean {
    return this.#heardMs.delete(gateway);
  }

  /** The runtime can hear again: all silence begins anew. */
  awake(): void {
    for (const gateway of this.#heardMs.keys()) this.heard(gateway);
  }

  /** Those that are gone; each is told once. */
  silent(): readonly string[] {
    const untilMs = this.#monotonic() - silenceMs;
    const silent = [...this.#heardMs].filter(([, heardMs]) => heardMs <= untilMs).map(([gateway]) => gateway);
    for (const gateway of silent) this.#heardMs.delete(gateway);
    return silent;
  }
}
