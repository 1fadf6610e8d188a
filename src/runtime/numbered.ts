/**
 * Outcomes of calls whose clients number them (after RIFL, SOSP 2015): per client a mark, up to which it has every outcome
 * it wants, and the outcomes above it. The mark lets the server forget by itself, so that what is kept of a client is as
 * much as it has under way.
 *
 * A client that is new to this activation may have outcomes on disk: they are asked for once, when its first call comes,
 * and from then on memory alone knows what is new and what is a repeat. When it is too much, clients that have nothing under
 * way are let go of, and asked for again when they come back.
 *
 * A client that never says what it has could fill memory and disk: past a bound its calls are refused until it does.
 */
import type { Limits } from '../protocol/limits.ts';
import type { NumberedCalls, StoredOutcome } from '../storage/contract.ts';

/** The client's calls above its mark, as they are on disk. */
export type StoredCalls = Omit<NumberedCalls, 'client'> | undefined;

export type NumberedBounds = Pick<Limits, 'outcomesInMemoryMax' | 'unacknowledgedCallsMax' | 'unacknowledgedBytesMax'>;

export class NumberedClient {
  readonly name: string;
  /** What is on disk, while nobody has looked at it yet. */
  stored: Promise<StoredCalls> | undefined;
  #ack = 0;
  #waiting = 0;
  #chars = 0;
  readonly #calls = new Map<number, StoredOutcome>();
  /** Characters of all clients of the actor. */
  readonly #total: { chars: number };
  readonly #bounds: NumberedBounds;

  constructor(
    name: string,
    stored: Promise<StoredCalls> | undefined,
    total: { chars: number },
    bounds: NumberedBounds,
  ) {
    this.name = name;
    this.stored = stored;
    this.#total = total;
    this.#bounds = bounds;
  }

  get ack(): number {
    return this.#ack;
  }

  get chars(): number {
    return this.#chars;
  }

  /** It has not said for too long which outcomes it has. */
  get isFull(): boolean {
    const { unacknowledgedCallsMax, unacknowledgedBytesMax } = this.#bounds;
    return this.#calls.size + this.#waiting >= unacknowledgedCallsMax || this.#chars >= unacknowledgedBytesMax;
  }

  /** No call of it waits or runs. */
  get idle(): boolean {
    return this.#waiting === 0;
  }

  /** Forgets what the client has. */
  acknowledge(ack: number): void {
    if (ack <= this.#ack) return;
    this.#ack = ack;
    for (const [n, outcome] of this.#calls) if (n <= ack) this.#drop(n, outcome);
  }

  /** How its nth call ended; what is on disk counts once it was learned. */
  get(n: number): StoredOutcome | undefined {
    return this.#calls.get(n);
  }

  /** A call of it is in the mailbox. */
  enter(): void {
    this.#waiting += 1;
  }

  /** A call of it was answered. */
  leave(): void {
    this.#waiting -= 1;
  }

  /** Adds what was on disk. */
  learn(stored: StoredCalls): void {
    this.stored = undefined;
    if (stored === undefined) return;
    this.acknowledge(stored.ack);
    for (const { n, outcome } of stored.calls) this.end(n, outcome);
  }

  end(n: number, outcome: StoredOutcome): void {
    if (n > this.#ack && !this.#calls.has(n)) this.#keep(n, outcome);
  }

  #keep(n: number, outcome: StoredOutcome): void {
    this.#calls.set(n, outcome);
    this.#count(charsOf(outcome));
  }

  #drop(n: number, outcome: StoredOutcome): void {
    this.#calls.delete(n);
    this.#count(-charsOf(outcome));
  }

  #count(chars: number): void {
    this.#chars += chars;
    this.#total.chars += chars;
  }
}

export class NumberedClients {
  /** No client that is unknown here has anything on disk. */
  complete = false;
  readonly #clients = new Map<string, NumberedClient>();
  readonly #bounds: NumberedBounds;
  readonly #total = { chars: 0 };

  constructor(bounds: NumberedBounds) {
    this.#bounds = bounds;
  }

  /** `ask` looks on disk; it is called for a client that may have something there. */
  of(name: string, ask: () => Promise<StoredCalls>): NumberedClient {
    let client = this.#clients.get(name);
    if (client === undefined) {
      client = this.#open(name, this.complete ? undefined : ask());
    } else if (this.#clients.size > this.#bounds.outcomesInMemoryMax / 2) {
      // Who speaks stays longest. Not worth its price while there is room.
      this.#clients.delete(name);
      this.#clients.set(name, client);
    }
    return client;
  }

  #open(name: string, stored: Promise<StoredCalls> | undefined): NumberedClient {
    const client = new NumberedClient(name, stored, this.#total, this.#bounds);
    this.#clients.set(name, client);
    // The disk could not be read: calls that wait for it are refused, and the next one asks again. A turn that merely ran
    // out of time changes nothing: the answer still comes, and only one object may speak for a client.
    stored?.catch(() => this.#forget(client));
    return client;
  }

  #forget(client: NumberedClient): void {
    if (this.#clients.get(client.name) !== client) return;
    this.#clients.delete(client.name);
    this.#total.chars -= client.chars;
  }

  /** Lets go of clients, those that came first, when there is too much. Only after their outcomes were committed. */
  trim(): void {
    if (!this.#isTooMuch) return;
    for (const client of this.#clients.values()) {
      if (!client.idle) continue;
      this.#forget(client);
      this.complete = false;
      if (!this.#isTooMuch) return;
    }
  }

  get #isTooMuch(): boolean {
    return (
      this.#clients.size > this.#bounds.outcomesInMemoryMax || this.#total.chars > this.#bounds.unacknowledgedBytesMax
    );
  }

  get chars(): number {
    return this.#total.chars + this.#clients.size * clientChars;
  }
}

/** What a client takes beside its outcomes, roughly. */
const clientChars = 128;

function charsOf(outcome: StoredOutcome): number {
  return (outcome.kind === 'ok' ? outcome.result.length : outcome.error.message.length) + 64;
}
