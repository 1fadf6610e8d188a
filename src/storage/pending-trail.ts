/**
 * The trails of one actor's entries, gathered until they are written: numbered calls by client, visits, patches, events.
 *
 * Entries may come twice and out of order, because journals are replayed, also those of a former shard count; everything
 * in a trail has a number, and numbers tell. Of a client's calls the highest ack wins. Intake keeps texts; they are read
 * when somebody asks.
 */
import type { HistoryItem, NumberedCall, NumberedCalls, Trail } from './contract.ts';
import { decodeTrail, encodeTrail, type Visit } from './trail-text.ts';

interface Client {
  ack: number;
  readonly calls: Map<number, NumberedCall>;
}

export class PendingTrail {
  #unread: { readonly text: string; readonly seq: number; readonly payload: string }[] = [];
  readonly #clients = new Map<string, Client>();
  readonly #visits = new Map<number, Visit>();
  readonly #patches = new Map<number, HistoryItem>();
  readonly #events = new Map<number, HistoryItem>();
  #newestEvent = 0;
  #eventsMax = 0;

  /** `payload` is the entry's own, for a trail that keeps its patches. */
  add(text: string, seq: number, payload: string): void {
    this.#unread.push({ text, seq, payload });
  }

  /** Undefined when none of this client's calls are pending. */
  numbered(client: string): NumberedCalls | undefined {
    this.#read();
    const known = this.#clients.get(client);
    return known === undefined ? undefined : { client, ack: known.ack, calls: above(known) };
  }

  get allNumbered(): NumberedCalls[] {
    this.#read();
    return [...this.#clients].map(([client, known]) => ({ client, ack: known.ack, calls: above(known) }));
  }

  get visits(): Visit[] {
    this.#read();
    return inOrder(this.#visits);
  }

  get patches(): HistoryItem[] {
    this.#read();
    return inOrder(this.#patches);
  }

  get events(): HistoryItem[] {
    this.#read();
    return inOrder(this.#events);
  }

  /** As the newest event has it; 0 when no event is pending. */
  get eventsMax(): number {
    this.#read();
    return this.#eventsMax;
  }

  /** All of it as one trail, which needs no change beside it. */
  toText(): string {
    const { allNumbered: numbered, visits, patches, events, eventsMax } = this;
    return encodeTrail({ numbered, visits, patches, events, eventsMax });
  }

  #read(): void {
    if (this.#unread.length === 0) return;
    const unread = this.#unread;
    this.#unread = [];
    for (const { text, seq, payload } of unread) this.#merge(decodeTrail(text), seq, payload);
  }

  #merge({ numbered, visits, patches, events, eventsMax }: Trail, seq: number, payload: string): void {
    for (const { client, ack, calls } of numbered) {
      let known = this.#clients.get(client);
      if (known === undefined) this.#clients.set(client, (known = { ack: 0, calls: new Map() }));
      for (const call of calls) known.calls.set(call.n, call);
      if (ack <= known.ack) continue;
      known.ack = ack;
      for (const n of known.calls.keys()) if (n <= ack) known.calls.delete(n);
    }
    for (const visit of visits) this.#visits.set(visit.n, visit);
    if (patches === 'own') this.#patches.set(seq, { seq, text: payload });
    else for (const item of patches) this.#patches.set(item.seq, item);
    for (const item of events) {
      this.#events.set(item.seq, item);
      if (item.seq < this.#newestEvent) continue;
      this.#newestEvent = item.seq;
      this.#eventsMax = eventsMax;
    }
  }
}

function above({ ack, calls }: Client): NumberedCall[] {
  return inOrder(calls).filter(({ n }) => n > ack);
}

/** By number, which mostly is the order in which they came. */
function inOrder<T>(items: ReadonlyMap<number, T>): T[] {
  const numbers = [...items.keys()];
  if (numbers.some((number, at) => at > 0 && number < numbers[at - 1]!))
    return numbers.sort((a, b) => a - b).map((number) => items.get(number)!);
  return [...items.values()];
}
