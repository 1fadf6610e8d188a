/**
 * The mailbox of one actor: what waits for its turn, first come, first served, with a bound.
 *
 * Calls past the bound are refused by the caller of `push`; what the system itself sends (subscriptions, disconnects,
 * deactivation) always fits, because its number is bounded elsewhere.
 */
import type { Address } from '../protocol/address.ts';
import type { Stream } from '../protocol/envelope.ts';
import type { StreamPosition } from '../protocol/messages.ts';
import type { NumberedClient } from './numbered.ts';
import type { EndedCall, Outcomes } from './outcomes.ts';
import type { Session } from './sessions.ts';

/** A question to the keeper whose answer is mostly there before the call's turn comes. */
export class Lookup {
  readonly promise: Promise<EndedCall | undefined>;
  settled = false;
  value: EndedCall | undefined;
  readonly #outcomes: Outcomes;
  readonly #trims: number;

  constructor(promise: Promise<EndedCall | undefined>, outcomes: Outcomes) {
    this.promise = promise;
    this.#outcomes = outcomes;
    this.#trims = outcomes.trims;
    // A rejection is the turn's to handle, when it awaits; until then it must not count as unhandled.
    promise.then(
      (value) => {
        this.value = value;
        this.settled = true;
      },
      () => undefined,
    );
  }

  /** Is everything that ended since it was asked in this memory? */
  isCurrent(outcomes: Outcomes): boolean {
    return outcomes === this.#outcomes && outcomes.trims === this.#trims;
  }
}

export interface CallItem {
  readonly kind: 'call';
  readonly session: Session;
  /** The gateway's number for this call. */
  readonly call: number;
  readonly address: Address;
  readonly method: string;
  readonly input: unknown;
  /** An arbitrary key; '' without, and for a call that its client numbers. */
  readonly key: string;
  readonly numbered: Numbered | undefined;
  /** Hash of method and input, for calls with a key. */
  readonly args: string;
  /** Monotonic time after which nobody waits for the answer; Infinity without. */
  readonly deadlineMs: number;
  /** The outcome on disk, being looked up since the call came; undefined when there can be none. */
  readonly lookup: Lookup | undefined;
  /** Text of `trace.ts`, for lines in the log; '' for most. */
  readonly trace: string;
}

/** A call that is its client's nth. */
export interface Numbered {
  readonly client: NumberedClient;
  readonly n: number;
}

export interface SubscribeItem {
  readonly kind: 'subscribe';
  readonly session: Session;
  readonly stream: Stream;
  /** Where the subscriber was, if it was there before. */
  readonly since: StreamPosition | undefined;
  /** Connections that the session had lost when it asked. */
  readonly lost: number;
}

export type MailboxItem =
  | CallItem
  | { readonly kind: 'read'; readonly session: Session; readonly call: number }
  | SubscribeItem
  | { readonly kind: 'unsubscribe'; readonly session: Session; readonly stream: Stream }
  | { readonly kind: 'disconnect'; readonly session: Session }
  | { readonly kind: 'activate' }
  | { readonly kind: 'deactivate' };

export class Mailbox {
  readonly #all: { mailboxItems: number };
  #items: MailboxItem[] = [];
  #first = 0;

  /** `all` counts what waits in every mailbox of the shard. */
  constructor(all: { mailboxItems: number }) {
    this.#all = all;
  }

  get size(): number {
    return this.#items.length - this.#first;
  }

  push(item: MailboxItem): void {
    this.#items.push(item);
    this.#all.mailboxItems += 1;
  }

  /** Ahead of all others: `activate` runs before the calls that caused it. */
  pushFront(item: MailboxItem): void {
    this.#items.splice(this.#first, 0, item);
    this.#all.mailboxItems += 1;
  }

  shift(): MailboxItem | undefined {
    const item = this.#items[this.#first];
    if (item === undefined) return undefined;
    this.#first += 1;
    this.#all.mailboxItems -= 1;
    if (this.#first === this.#items.length) this.clear();
    // Taken items are cut off in lumps, so that taking one stays cheap in a long mailbox.
    else if (this.#first === 512) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }

  /** All that waits, in order; the mailbox is empty afterwards. */
  takeAll(): MailboxItem[] {
    const items = this.#items.slice(this.#first);
    this.clear();
    return items;
  }

  clear(): void {
    this.#all.mailboxItems -= this.size;
    this.#items = [];
    this.#first = 0;
  }
}
