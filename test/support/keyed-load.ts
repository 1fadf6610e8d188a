/**
 * Callers that repeat what was not answered, with the same key, and remember what they were told: clients of the project
 * over WebSocket, whose calls are numbered, and callers over HTTP with an Idempotency-Key. Each appends 1, 2, 3 … to a list
 * of its own, one call at a time, so that its list says what was lost and what ran twice.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from '../../src/client/client.ts';
import type { SocketConstructor } from '../../src/client/socket.ts';
import type { app } from './apps/ledger.ts';
import { getState, post } from './http.ts';
import { mint } from './token.ts';
import { eventually } from './wait.ts';

/** Where callers call: a server, or an nginx before some. */
export interface KeyedLoadTarget {
  readonly address: string;
  /** The certificate that an https address is trusted by. */
  readonly ca?: string;
  readonly WebSocket?: SocketConstructor;
}

export interface KeyedLoadOptions {
  /** Callers are spread over them; over HTTP a repeat goes to the next. */
  readonly targets: readonly KeyedLoadTarget[];
  /** Callers are spread over them; acme by default. */
  readonly tenants?: readonly string[];
  readonly sockets: number;
  readonly http: number;
  /** Milliseconds between an answer and the next call. */
  readonly pauseMs: number;
}

interface Caller {
  readonly list: string;
  readonly tenant: string;
  /** The first one that it calls. */
  readonly target: number;
}

/** Statuses after which a caller with a key asks again: nothing is known, or nothing happened yet. */
const again = [429, 502, 503, 504];
const callTimeoutMs = 60_000;

export class KeyedLoad {
  /** What went wrong, as sentences. */
  readonly faults: string[] = [];
  /** HTTP requests that had to be made again. */
  repeats = 0;
  /** Connections that were lost. */
  losses = 0;
  /** Milliseconds from a call to its outcome, of the slowest since this was last set to 0. */
  longestMs = 0;
  readonly #options: KeyedLoadOptions;
  readonly #clients: { readonly client: Client<typeof app>; readonly list: string; seen: readonly string[] }[] = [];
  readonly #tenants = new Map<string, string>();
  readonly #acked = new Map<string, number>();
  #calling: Promise<void>[] = [];
  #stopped = false;

  /** Every client is connected and watches its list. */
  static async start(options: KeyedLoadOptions): Promise<KeyedLoad> {
    const load = new KeyedLoad(options);
    await Promise.all(Array.from({ length: options.sockets }, (_, n) => load.#connect(load.#caller('socket', n))));
    load.#calling = [
      ...load.#clients.map(({ client, list }) =>
        load.#call(list, async (entry) => await client.list(list).append({ entry })),
      ),
      ...Array.from({ length: options.http }, (_, n) => {
        const caller = load.#caller('http', n);
        return load.#call(caller.list, (entry) => load.#post(caller, entry));
      }),
    ];
    return load;
  }

  private constructor(options: KeyedLoadOptions) {
    this.#options = options;
  }

  get acked(): number {
    return [...this.#acked.values()].reduce((sum, count) => sum + count, 0);
  }

  get connected(): number {
    return this.#clients.filter(({ client }) => client.connection.status === 'connected').length;
  }

  /** The server's name for each client, which stays for as long as its session does. */
  get clientIds(): (string | undefined)[] {
    return this.#clients.map(({ client }) => client.connection.clientId);
  }

  /** Settles when every caller has been told of `more` further calls. */
  async progress(more: number, msMax = 30_000): Promise<void> {
    const goals = [...this.#acked].map(([list, count]): [string, number] => [list, count + more]);
    const behind = () => goals.filter(([list, goal]) => this.#acked.get(list)! < goal);
    await eventually('every caller goes on', () => this.faults.length > 0 || behind().length === 0, msMax);
  }

  /** No new calls; when all have ended, every list is held against what its caller was told. */
  async finish(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#calling);
    for (const [list, count] of this.#acked) {
      const { address, ...trust } = this.#target(0);
      const answer = await getState(address, 'list', list, {
        ...trust,
        token: await mint({ tenant: this.#tenants.get(list)! }),
      });
      this.#compare(`the list ${list}`, count, (answer.json()['entries'] ?? []) as string[]);
    }
    for (const one of this.#clients) {
      const count = this.#acked.get(one.list)!;
      await eventually(`${one.list} has seen all`, () => one.seen.length >= count);
      this.#compare(`what ${one.list} saw`, count, one.seen);
    }
  }

  close(): void {
    this.#stopped = true;
    for (const { client } of this.#clients) client.connection.close();
  }

  #caller(kind: string, n: number): Caller {
    const { tenants = ['acme'] } = this.#options;
    const caller = { list: `${kind}-${n}`, tenant: tenants[n % tenants.length]!, target: n };
    this.#tenants.set(caller.list, caller.tenant);
    return caller;
  }

  #target(n: number): KeyedLoadTarget {
    const { targets } = this.#options;
    return targets[n % targets.length]!;
  }

  async #connect({ list, tenant, target }: Caller): Promise<void> {
    const { address, WebSocket } = this.#target(target);
    const client = createClient<typeof app>({
      url: address,
      token: () => mint({ tenant, sub: list }),
      callTimeoutMs,
      ...(WebSocket === undefined ? {} : { WebSocket }),
      onError: (error) => this.faults.push(`${list} reported: ${String(error)}`),
    });
    const one = { client, list, seen: [] as readonly string[] };
    this.#clients.push(one);
    client.list(list).state.subscribe(({ entries }) => {
      one.seen = [...entries];
    });
    await client.connection.ready;
    let connected = true;
    client.connection.subscribe((status) => {
      if (connected && status !== 'connected' && !this.#stopped) this.losses += 1;
      connected = status === 'connected';
    });
  }

  /** `append` says how long the list was then. */
  async #call(list: string, append: (entry: string) => Promise<unknown>): Promise<void> {
    this.#acked.set(list, 0);
    for (let n = 1; !this.#stopped; n += 1) {
      const sentMs = performance.now();
      try {
        const length = await append(`${n}`);
        if (length !== n) this.faults.push(`${list} was told ${String(length)} at ${n}`);
      } catch (error) {
        this.faults.push(`${list} failed at ${n}: ${String(error)}`);
        return;
      }
      this.longestMs = Math.max(this.longestMs, performance.now() - sentMs);
      this.#acked.set(list, n);
      await sleep(this.#options.pauseMs);
    }
  }

  async #post({ list, tenant, target }: Caller, entry: string): Promise<unknown> {
    const ask = { token: await mint({ tenant }), key: `${list}.${entry}`, input: { entry } };
    const deadlineMs = performance.now() + callTimeoutMs;
    for (let tries = 0; ; tries += 1) {
      const { address, ...trust } = this.#target(target + tries);
      // A connection that broke says no more than a 502.
      const answer = await post(address, ['list', list, 'append'], { ...ask, ...trust }).catch(() => undefined);
      if (answer?.status === 200) return answer.json().result;
      if (answer !== undefined && !again.includes(answer.status)) throw new Error(`${answer.status} ${answer.text}`);
      if (performance.now() > deadlineMs) throw new Error('no answer in time');
      this.repeats += 1;
      await sleep(50);
    }
  }

  #compare(what: string, count: number, entries: readonly string[]): void {
    const expected = Array.from({ length: count }, (_, n) => `${n + 1}`);
    if (entries.join() === expected.join()) return;
    const lost = expected.filter((entry) => !entries.includes(entry));
    this.faults.push(`${what} has ${entries.length} entries, its caller was told of ${count}; lost: ${lost.join()}`);
  }
}
