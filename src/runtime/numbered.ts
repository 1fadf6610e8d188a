/**
 * Outcomes of calls whose clients number them (after RIFL, SOSP 2015): per client a mark, up to which it has every outcome
 * it wants, and the outcomes above it. The mark lets the server forget by itself, so that what is kept of a client is as
 * much as it has under way.
 *
 * A client that is new to this activation may have outcomes on disk: they are asked for once, when its first call comes,
 * and from then on memory alone knows what is new and what is a repeat. Clients that were silent for long are let go of and
 * asked for again.
 */
import type { NumberedCalls, StoredOutcome } from '../storage/contract.ts';
import type { Waiter } from './outcomes.ts';

/** The client's calls above its mark, as they are on disk. */
export type StoredCalls = Omit<NumberedCalls, 'client'> | undefined;

type Known =
  | { readonly kind: 'running'; readonly waiters: Waiter[]; stored: StoredOutcome | undefined }
  | { readonly kind: 'ended'; readonly outcome: StoredOutcome };

export class NumberedClient {
  readonly name: string;
  /** What is on disk, while nobody has looked at it yet. */
  stored: Promise<StoredCalls> | undefined;
  #ack = 0;
  #running = 0;
  #chars = 0;
  readonly #calls = new Map<number, Known>();

  constructor(name: string, stored: Promise<StoredCalls> | undefined) {
    this.name = name;
    this.stored = stored;
    // A rejection is the turn's to handle, when it awaits; until then it must not count as unhandled.
    stored?.catch(() => undefined);
  }

  get ack(): number {
    return this.#ack;
  }

  get chars(): number {
    return this.#chars;
  }

  /** Nothing of it is under way. */
  get idle(): boolean {
    return this.#running === 0;
  }

  /** Forgets what the client has. */
  acknowledge(ack: number): void {
    if (ack <= this.#ack) return;
    this.#ack = ack;
    for (const [n, known] of this.#calls) if (n <= ack && known.kind === 'ended') this.#drop(n, known.outcome);
  }

  get(n: number): Known | undefined {
    return this.#calls.get(n);
  }

  start(n: number): void {
    this.#calls.set(n, { kind: 'running', waiters: [], stored: undefined });
    this.#running += 1;
  }

  /** Adds what was on disk. A call that waits for its turn finds its outcome there. */
  learn(stored: StoredCalls): void {
    this.stored = undefined;
    if (stored === undefined) return;
    this.acknowledge(stored.ack);
    for (const { n, outcome } of stored.calls) {
      const known = this.#calls.get(n);
      if (known?.kind === 'running') known.stored = outcome;
      else if (known === undefined && n > this.#ack) this.#keep(n, outcome);
    }
  }

  /** Ends a running call and returns those who waited for it. */
  end(n: number, outcome: StoredOutcome): readonly Waiter[] {
    const waiters = this.forget(n);
    if (n > this.#ack) this.#keep(n, outcome);
    return waiters;
  }

  /** A call that left no new outcome: returns those who waited. */
  forget(n: number): readonly Waiter[] {
    const running = this.#calls.get(n);
    if (running?.kind !== 'running') return [];
    this.#calls.delete(n);
    this.#running -= 1;
    return running.waiters;
  }

  /** Takes over a call that has not begun, with those who wait for it. */
  adopt(n: number, from: NumberedClient): void {
    const known = from.#calls.get(n);
    if (known?.kind !== 'running' || this.#calls.has(n)) return;
    this.#calls.set(n, known);
    this.#running += 1;
  }

  #keep(n: number, outcome: StoredOutcome): void {
    this.#calls.set(n, { kind: 'ended', outcome });
    this.#chars += charsOf(outcome);
  }

  #drop(n: number, outcome: StoredOutcome): void {
    this.#calls.delete(n);
    this.#chars -= charsOf(outcome);
  }
}

export class NumberedClients {
  /** No client that is unknown here has anything on disk. */
  complete = false;
  readonly #clients = new Map<string, NumberedClient>();
  readonly #clientsMax: number;

  constructor(clientsMax: number) {
    this.#clientsMax = clientsMax;
  }

  /** `ask` looks on disk; it is called for a client that may have something there. */
  of(name: string, ask: () => Promise<StoredCalls>): NumberedClient {
    let client = this.#clients.get(name);
    if (client === undefined) {
      client = new NumberedClient(name, this.complete ? undefined : ask());
      this.#clients.set(name, client);
    }
    return client;
  }

  /** The next call of this client asks the disk again. */
  forget(client: NumberedClient): void {
    if (this.#clients.get(client.name) === client) this.#clients.delete(client.name);
  }

  /** Lets go of clients, those that came first, when there are too many. Only after their outcomes were committed. */
  trim(): void {
    if (this.#clients.size <= this.#clientsMax) return;
    for (const [name, client] of this.#clients) {
      if (this.#clients.size <= this.#clientsMax) return;
      if (!client.idle) continue;
      this.#clients.delete(name);
      this.complete = false;
    }
  }

  get chars(): number {
    let chars = 0;
    for (const client of this.#clients.values()) chars += client.chars + 128;
    return chars;
  }
}

function charsOf(outcome: StoredOutcome): number {
  return (outcome.kind === 'ok' ? outcome.result.length : outcome.error.message.length) + 64;
}
