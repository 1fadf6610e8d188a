/**
 * Holds frames while the node has no lease: a shard could only refuse what they ask for. When NATS was away for longer than a
 * lease, calls come back a moment before the lease does; so they wait for it here, in order, instead of being refused.
 *
 * What is held is bounded by what NATS hands out at once.
 */
import type { Lease } from '../host/lease.ts';
import type { SlotFrame } from '../transport/contract.ts';

const lookMs = 20;

export class LeaseWait {
  readonly #read: (frame: SlotFrame) => void;
  readonly #lease: Pick<Lease, 'held'> | undefined;
  #held: SlotFrame[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** Without a lease nothing waits. */
  constructor(read: (frame: SlotFrame) => void, lease: Pick<Lease, 'held'> | undefined) {
    this.#read = read;
    this.#lease = lease;
  }

  pass(frame: SlotFrame): void {
    if (this.#lease === undefined || (this.#held.length === 0 && this.#lease.held)) return this.#read(frame);
    this.#held.push(frame);
    this.#timer ??= setInterval(() => this.#look(), lookMs).unref();
  }

  /** The slot is given up. Returns what was held of it. */
  forget(slot: number): SlotFrame[] {
    const forgotten = this.#held.filter((frame) => frame.slot === slot);
    this.#held = this.#held.filter((frame) => frame.slot !== slot);
    return forgotten;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    if (this.#lease?.held !== true) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const frame of this.#held.splice(0)) this.#read(frame);
  }
}
