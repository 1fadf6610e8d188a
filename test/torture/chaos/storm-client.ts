/**
 * One client of the storm: the shipped client, its calls, and the rooms that it watches. It is never killed, so that its
 * log is the truth about what callers were told.
 *
 * Calls are written down before they are made. Some leave together, so that their order has something to survive.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient, FermataError } from '../../../src/client/client.ts';
import type { SocketConstructor } from '../../../src/client/socket.ts';
import type { app } from '../../support/apps/storm.ts';
import { mint } from '../../support/token.ts';
import type { Violation } from '../oracle.ts';
import type { SeededRandom } from '../seeded-random.ts';
import { fastClock } from './fast-clock.ts';
import { Overheard } from './overheard.ts';
import { RoomWatch, type Transcript } from './room-watch.ts';
import type { StormSize } from './size.ts';

export interface Told {
  /** The client's own name for it on the wire. */
  readonly id: string;
  readonly kind: 'ledger' | 'room';
  readonly actorId: string;
  /** Rises with the calls of this client to this actor. */
  readonly n: number;
  fate: 'sent' | 'ok' | 'failed' | 'rejected' | 'unknown';
  returned: number;
  /** Why it is not `ok`. */
  error: string;
}

export interface StormClientOptions {
  readonly index: number;
  readonly url: string;
  readonly WebSocket: SocketConstructor;
  readonly size: StormSize;
  readonly random: SeededRandom;
  readonly ledgers: readonly string[];
  /** By room. */
  readonly transcripts: ReadonlyMap<string, Transcript>;
}

/** Calls that leave together, at most. */
const burstMax = 4;
/** Longer than any storm: nothing may end for want of time. */
const callTimeoutMs = 120_000;
const connectTimeoutMs = 4000;

export class StormClient {
  readonly name: string;
  readonly calls: Told[] = [];
  readonly watches: RoomWatch[] = [];
  readonly overheard = new Overheard();
  /** What had no caller. */
  readonly violations: Violation[] = [];
  readonly #options: StormClientOptions;
  readonly #client: Client<typeof app>;
  readonly #counts = new Map<string, number>();
  #made = 0;

  constructor(options: StormClientOptions) {
    const { index, url, size, random, WebSocket } = options;
    this.#options = options;
    this.name = `client-${index}`;
    this.#client = createClient<typeof app>({
      url,
      token: () => mint({ sub: this.name }),
      callTimeoutMs: callTimeoutMs * size.speed,
      connectTimeoutMs: connectTimeoutMs * size.speed,
      reconnect: { capMs: 2000 * size.speed },
      clock: fastClock(size.speed, () => random.next()),
      WebSocket: this.overheard.wrap(WebSocket),
      onError: (error) =>
        this.violations.push({ kind: 'unavailable', text: `${this.name} reported: ${String(error)}` }),
    });
  }

  get clientId(): string | undefined {
    return this.#client.connection.status === 'connected' ? this.#client.connection.clientId : undefined;
  }

  get unanswered(): number {
    return this.calls.filter(({ fate }) => fate === 'sent').length;
  }

  /** Settles when it is certain that it hears everything. Only in calm weather is that so after one answer. */
  async join(room: string): Promise<void> {
    const watch = this.watch(room, false);
    this.#made += 1;
    watch.certain(await this.#client.room(room).look());
  }

  watch(room: string, late: boolean): RoomWatch {
    const watch = new RoomWatch(this.name, room, late, this.#options.transcripts.get(room)!);
    this.watches.push(watch);
    const handle = this.#client.room(room);
    handle.on('said', (said) => watch.hear(said), { onGap: () => watch.gap() });
    handle.on('whispered', ({ to, at }) => watch.hearWhisper(to, at, this.overheard.clientIds), { onGap: () => {} });
    handle.state.subscribe((state) => watch.see(state));
    return watch;
  }

  /** Calls, and calls again, until it is told to stop and all of them have ended. */
  async call(stopped: () => boolean): Promise<void> {
    const { random, size, ledgers } = this.#options;
    while (!stopped()) {
      const burst = Array.from({ length: 1 + random.below(burstMax) }, () =>
        random.next() < 0.5 ? this.#append(random.pick(ledgers)) : this.#say(random.pick(this.watches)),
      );
      await Promise.all(burst);
      await sleep(random.next() * size.pauseMsMax);
    }
  }

  /** One more call in each of its rooms, so that everybody hears how it ended. */
  async sayLast(): Promise<void> {
    await Promise.all(this.watches.map((watch) => this.#say(watch)));
  }

  close(): void {
    this.#client.connection.close();
  }

  async #append(ledger: string): Promise<void> {
    const told = this.#write('ledger', ledger);
    await this.#settle(told, this.#client.ledger(ledger).append({ client: this.name, n: told.n }));
  }

  async #say(watch: RoomWatch): Promise<void> {
    const told = this.#write('room', watch.room);
    await this.#settle(told, this.#client.room(watch.room).say({ client: this.name, n: told.n }));
    if (told.fate === 'ok') watch.answered(told.returned);
  }

  #write(kind: 'ledger' | 'room', actorId: string): Told {
    const name = `${kind} ${actorId}`;
    const n = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, n);
    // The client counts its calls in the same way.
    this.#made += 1;
    const told: Told = { id: `c${this.#made}`, kind, actorId, n, fate: 'sent', returned: 0, error: '' };
    this.calls.push(told);
    return told;
  }

  async #settle(told: Told, answer: Promise<number>): Promise<void> {
    try {
      told.returned = await answer;
      told.fate = 'ok';
    } catch (error) {
      told.error = String(error);
      told.fate = error instanceof FermataError ? error.outcome : 'failed';
    }
  }
}
