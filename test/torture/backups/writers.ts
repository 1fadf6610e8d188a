/**
 * The load of the backup rounds: writers that write all the time, each into a pair of books, and write down what they were
 * told. An entry goes into the second book once the first has acknowledged it. A pair is followed by the next, so that
 * books stay small.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BaseClient, LostError } from '../../support/base-client.ts';
import { mint } from '../../support/token.ts';
import type { SeededRandom } from '../seeded-random.ts';
import { Book, type Sent } from './book.ts';

export interface Pair {
  readonly first: Book;
  readonly twin: Book;
}

export interface Ended {
  readonly tenant: string;
  readonly atMs: number;
  readonly text: string;
}

const entriesPerBook = 100;
const pauseMsMax = 80;
/** After a call that was not acknowledged. */
const againMs = 20;

export class Writers {
  readonly pairs: Pair[] = [];
  acked = 0;
  unknown = 0;
  rejected = 0;
  /** Calls that were not acknowledged, although their connection stayed. */
  readonly refused: Ended[] = [];
  readonly #tenants: readonly string[];
  readonly #perTenant: number;
  readonly #random: SeededRandom;
  #running: Promise<void>[] = [];
  #stopped = true;
  #made = 0;
  #entries = 0;

  constructor(tenants: readonly string[], perTenant: number, random: SeededRandom) {
    this.#tenants = tenants;
    this.#perTenant = perTenant;
    this.#random = random;
  }

  start(address: string): void {
    this.#stopped = false;
    for (const tenant of this.#tenants)
      for (let n = 0; n < this.#perTenant; n += 1) this.#running.push(this.#write(address, tenant));
  }

  /** No new calls; settles when every call has its end. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running.splice(0));
  }

  books(tenant: string): Book[] {
    return this.pairsOf(tenant).flatMap(({ first, twin }) => [first, twin]);
  }

  pairsOf(tenant: string): Pair[] {
    return this.pairs.filter(({ first }) => first.tenant === tenant);
  }

  /** The first acknowledgement of this tenant. */
  firstMs(tenant: string): number {
    const calls = this.pairsOf(tenant).flatMap(({ first }) => first.calls);
    return Math.min(...calls.filter(({ fate }) => fate === 'acked').map(({ endedMs }) => endedMs));
  }

  async #write(address: string, tenant: string): Promise<void> {
    while (!this.#stopped) {
      const pair = this.#pair(tenant);
      const client = await connected(address, tenant);
      if (client === undefined) return;
      try {
        for (let n = 0; n < entriesPerBook && !this.#stopped; n += 1) {
          const entry = `e${(this.#entries += 1)}`;
          if (!(await this.#append(client, pair.first, entry))) await sleep(againMs);
          else await this.#append(client, pair.twin, entry);
          await sleep(this.#random.below(pauseMsMax));
        }
      } catch (error) {
        if (error instanceof LostError) return;
        throw error;
      } finally {
        client.socket.terminate();
      }
    }
  }

  #pair(tenant: string): Pair {
    const id = `p${(this.#made += 1)}`;
    const pair = { first: new Book(tenant, id), twin: new Book(tenant, `${id}-twin`) };
    this.pairs.push(pair);
    return pair;
  }

  /** @throws LostError when the connection is gone */
  async #append(client: BaseClient, book: Book, entry: string): Promise<boolean> {
    const key = this.#random.next() < 0.5 ? `${book.id}.${entry}` : '';
    const sent = book.send(key, entry);
    try {
      const { outcome, result, error } = await client.call(askOf(book, sent));
      sent.endedMs = Date.now();
      if (outcome === 'ok') {
        sent.returned = result as number;
        sent.fate = 'acked';
        this.acked += 1;
        return true;
      }
      const isRejected = outcome === 'rejected';
      if (isRejected) sent.fate = 'rejected';
      this[isRejected ? 'rejected' : 'unknown'] += 1;
      this.refused.push({ tenant: book.tenant, atMs: sent.endedMs, text: `${book.name} answered "${error}"` });
      return false;
    } catch (error) {
      sent.endedMs = Date.now();
      this.unknown += 1;
      throw error;
    }
  }
}

export function askOf(book: Book, { key, entry }: Sent): Parameters<BaseClient['call']>[0] {
  return {
    actor: 'book',
    actorId: book.id,
    method: 'append',
    input: { entry },
    ...(key === '' ? {} : { key }),
  };
}

/** Undefined when the server is gone. */
async function connected(address: string, tenant: string): Promise<BaseClient | undefined> {
  const token = await mint({ tenant, sub: 'writer' });
  try {
    return await BaseClient.connect(address, { token, v1: true });
  } catch {
    return undefined;
  }
}
