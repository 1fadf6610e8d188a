/**
 * One storm: the shipped command on a port that stays, a chaos proxy before it, clients that call and watch through the
 * proxy, and kills.
 *
 *   calm: everybody joins ──▶ storm: faults, kills, latecomers ──▶ calm: everything heals ──▶ judgement ──▶ everybody leaves
 *
 * Nothing that is compared is asked for through the proxy.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { WebSocket as PackageSocket } from 'ws';
import type { SocketConstructor } from '../../../src/client/socket.ts';
import { ChaosProxy } from '../../support/chaos-proxy.ts';
import { getState } from '../../support/http.ts';
import { ServerProcess } from '../../support/server.ts';
import { freePort } from '../../support/stage.ts';
import { mint } from '../../support/token.ts';
import { eventually } from '../../support/wait.ts';
import type { Violation } from '../oracle.ts';
import { SeededRandom } from '../seeded-random.ts';
import { callsTo, judgeCalls, judgeEnds, judgeRoom } from './judge.ts';
import type { RoomState, Transcript } from './room-watch.ts';
import type { StormSize } from './size.ts';
import { StormClient } from './storm-client.ts';

export interface StormOptions {
  readonly size: StormSize;
  readonly seed: number;
  readonly dataDir: string;
  /** Threads of the server that own sockets. */
  readonly gateways: number;
  /** A module with a planted bug. */
  readonly plant: string | undefined;
}

const rooms = ['hall', 'kitchen', 'garden', 'cellar'];
const ledgers = ['l0', 'l1', 'l2', 'l3'];
/** Each client joins so many rooms before the storm, and one in `latecomers` another one while it lasts. */
const roomsEach = 2;
const latecomers = 3;
/** The time that is left when the last kill comes. */
const lastShare = 0.9;
const recoveryMsMax = 400;
const answersMsMax = 100_000;
/** Beyond the grace of sessions that nobody comes back for. */
const healMsMax = 30_000;
/** With a planted bug it never comes to an end. */
const plantHealMsMax = 4000;

const kept = 32 * 1024 * 1024;

export class Storm {
  readonly violations: Violation[] = [];
  readonly proxy: ChaosProxy;
  readonly clients: readonly StormClient[];
  kills = 0;
  /** From the end of the storm until all calls had ended and everybody saw the same. */
  healMs = 0;
  readonly readyMs: number[] = [];
  readonly #options: StormOptions;
  readonly #port: string;
  readonly #random: SeededRandom;
  readonly #transcripts = new Map(rooms.map((room): [string, Transcript] => [room, new Map()]));
  #server: ServerProcess;
  #over = false;

  /** Everything is up; the weather is calm. */
  static async start(options: StormOptions): Promise<Storm> {
    const port = await freePort();
    const random = new SeededRandom(options.seed);
    const { faultMs, stallMsMax } = options.size;
    const chance = new SeededRandom(random.below(2 ** 31));
    const proxy = new ChaosProxy({ port: Number(port), faultMs, stallMsMax, random: () => chance.next() });
    return new Storm(options, port, random, proxy, await proxy.listen());
  }

  private constructor(options: StormOptions, port: string, random: SeededRandom, proxy: ChaosProxy, url: string) {
    this.#options = options;
    this.#port = port;
    this.#random = random;
    this.proxy = proxy;
    this.#server = this.#launch();
    this.clients = Array.from({ length: options.size.clients }, (_, index) => {
      const own = new SeededRandom(random.below(2 ** 31));
      const { size } = options;
      // The platform's and the package's: they notice lost connections in different ways.
      const WebSocket: SocketConstructor = index % 2 === 0 ? globalThis.WebSocket : PackageSocket;
      return new StormClient({ index, url, WebSocket, size, random: own, ledgers, transcripts: this.#transcripts });
    });
  }

  async run(): Promise<void> {
    const { size } = this.#options;
    await this.#server.ready();
    await Promise.all(this.clients.map((client, index) => this.#join(client, index)));
    const calls = this.clients.map((client) => client.call(() => this.#over));
    this.proxy.storm();
    await Promise.all([this.#kill(), this.#comeLate(), sleep(size.stormMs)]);
    this.#over = true;
    this.proxy.calm();
    const calmMs = performance.now();
    await this.#within('the calls did not all end', Promise.all(calls));
    await this.#within('the last calls did not all end', Promise.all(this.clients.map((client) => client.sayLast())));
    await this.#heal();
    this.healMs = performance.now() - calmMs;
    await this.#judge();
    if (this.violations.length === 0) await this.#leave();
  }

  async end(): Promise<void> {
    this.#over = true;
    for (const client of this.clients) client.close();
    await this.proxy.close();
    await this.#server.kill9();
  }

  async #join(client: StormClient, index: number): Promise<void> {
    for (let n = 0; n < roomsEach; n += 1) await client.join(rooms[(index + n) % rooms.length]!);
  }

  async #comeLate(): Promise<void> {
    const pauseMs = this.#options.size.stormMs / this.clients.length;
    for (const [index, client] of this.clients.entries()) {
      if (index % latecomers === 0) client.watch(rooms[(index + roomsEach) % rooms.length]!, true);
      await sleep(pauseMs * 0.8);
    }
  }

  /** At random moments; one of them soon after the one before, while the server starts. */
  async #kill(): Promise<void> {
    const { kills, stormMs } = this.#options.size;
    const inRecovery = kills > 2 ? 1 + this.#random.below(kills - 1) : kills;
    const moments = Array.from({ length: kills }, () => (0.05 + this.#random.next() * (lastShare - 0.05)) * stormMs);
    moments.sort((a, b) => a - b);
    const beganMs = performance.now();
    for (let n = 0; n < kills; n += 1) {
      if (n === inRecovery) await sleep(this.#random.next() * recoveryMsMax);
      else {
        await this.#ready();
        await sleep(moments[n]! - (performance.now() - beganMs));
      }
      await this.#server.kill9();
      this.kills += 1;
      this.#server = this.#launch();
    }
    await this.#ready();
  }

  async #ready(): Promise<void> {
    const server = this.#server;
    await server.ready();
    this.readyMs.push(performance.now() - server.startedMs);
  }

  #launch(): ServerProcess {
    const { dataDir, plant, gateways, size } = this.#options;
    const limits = {
      socketIdleS: 8,
      sessionGraceMs: size.graceMs,
      historyBytesMax: kept,
      messagesPerSecond: 0,
      messagesBurst: 0,
    };
    return new ServerProcess({
      app: 'storm',
      dataDir,
      args: [
        '--port',
        this.#port,
        '--shards',
        '2',
        ...Object.entries(limits).flatMap(([name, value]) => ['--limit', `${name}=${value}`]),
      ],
      env: { GATEWAYS: String(gateways) },
      ...(plant === undefined ? {} : { preload: plant }),
    });
  }

  async #within(what: string, done: Promise<unknown>): Promise<void> {
    const late = Symbol('late');
    const timeout = new AbortController();
    const first = await Promise.race([
      done,
      sleep(answersMsMax, late, { signal: timeout.signal }).catch(() => undefined),
    ]);
    timeout.abort();
    if (first !== late) return;
    const unanswered = this.clients.reduce((sum, client) => sum + client.unanswered, 0);
    this.#note('unavailable', `${what} within ${answersMsMax} ms: ${unanswered} have no answer`);
  }

  /** Until everybody is connected, sees each room as it is, and nobody else is present. What differs then is told. */
  async #heal(): Promise<void> {
    let differences: readonly string[] = [];
    const { size, plant } = this.#options;
    await eventually(
      'healing',
      async () => {
        differences = await this.#differences();
        return differences.length === 0;
      },
      size.graceMs + (plant === undefined ? healMsMax : plantHealMsMax),
    ).catch((error: unknown) => {
      for (const text of differences) this.#note('changed', text);
      if (differences.length === 0) this.#note('unavailable', String(error));
    });
  }

  async #differences(): Promise<string[]> {
    const texts: string[] = [];
    for (const room of rooms) {
      const state = await this.#state<RoomState>('room', room);
      const watches = this.clients.flatMap((client) =>
        client.watches.filter((watch) => watch.room === room).map((watch) => ({ client, watch })),
      );
      for (const { client, watch } of watches) {
        if (!isDeepStrictEqual(watch.state, state))
          texts.push(`${client.name} sees another state of ${room} than the server`);
      }
      const living = watches.map(({ client }) => client.clientId ?? `nobody, for ${client.name}`).sort();
      const present = Object.keys(state.online).sort();
      if (!isDeepStrictEqual(present, living)) {
        const gone = present.filter((clientId) => !living.includes(clientId));
        texts.push(
          `${room} lists ${present.length} clients; ${living.length} are there, ${gone.length} listed ones are not`,
        );
      }
    }
    return texts;
  }

  async #judge(): Promise<void> {
    this.violations.push(...judgeEnds(this.clients));
    for (const ledger of ledgers) {
      const { entries } = await this.#state<{ entries: string[] }>('ledger', ledger);
      this.violations.push(...judgeCalls(ledger, entries, callsTo(this.clients, 'ledger', ledger)));
    }
    for (const room of rooms) {
      const state = await this.#state<RoomState>('room', room);
      const calls = callsTo(this.clients, 'room', room);
      this.violations.push(...judgeRoom(room, state, this.#transcripts.get(room)!, calls));
      for (const { watches } of this.clients)
        for (const watch of watches) if (watch.room === room) watch.finish(state.count);
    }
    for (const client of this.clients)
      this.violations.push(...client.violations, ...client.watches.flatMap(({ violations }) => violations));
  }

  /** Who closes the client leaves at once, and a server that is asked to stop stops well. */
  async #leave(): Promise<void> {
    for (const client of this.clients) client.close();
    for (const room of rooms) {
      let present = 0;
      await eventually('an empty room', async () => {
        present = Object.keys((await this.#state<RoomState>('room', room)).online).length;
        return present === 0;
      }).catch(() => this.#note('changed', `${room} lists ${present} clients after all have left`));
    }
    const { code } = await this.#server.term();
    if (code !== 0) this.#note('unavailable', `the server ended with ${code} when it was asked to stop`);
  }

  async #state<State>(type: string, id: string): Promise<State> {
    const { text, status } = await getState(this.#server.address, type, id, { token: await mint({ sub: 'judge' }) });
    if (status !== 200) throw new Error(`the state of ${type} ${id}: ${status} ${text}`);
    return JSON.parse(text) as State;
  }

  #note(kind: Violation['kind'], text: string): void {
    this.violations.push({ kind, text });
  }
}
