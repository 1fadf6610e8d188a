/**
 * The shard threads, from main's side: started together, and each started again by itself when it dies.
 *
 *   thread dies ─▶ gateways end its calls as unknown ─▶ the call it was running is counted ─▶ (wait, longer each time)
 *               ─▶ new thread, new cables ─▶ keeper replays its journal ─▶ it serves, gateways tell it who is there
 *
 * Other shards go on all the while. The first restart comes at once; the next ones wait, up to 1.5 s, until the shard has
 * lived for a minute.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Config } from '../host/config.ts';
import type { Lease } from '../host/lease.ts';
import type { Logger, LogOptions } from '../host/log.ts';
import { Thread } from '../host/thread.ts';
import { Vitals } from '../host/vitals.ts';
import type { CrashCount } from './crash-count.ts';
import { type Lived, longerWait, type Restarts, waitAfter } from './restarts.ts';
import type { Watchdog, Watched } from './watchdog.ts';

export interface ShardsParts {
  readonly config: Config;
  readonly logOptions: LogOptions;
  readonly log: Logger;
  readonly keeper: Thread;
  /** The right to commit, when it is the cluster's to give. */
  readonly lease: Lease | undefined;
  /** Whoever hands calls to shards, as they are now, by number. */
  readonly gateways: () => readonly Thread[];
  readonly restarts: Restarts;
  readonly watchdog: Watchdog;
  readonly crashes: CrashCount;
  readonly stopping: () => boolean;
  /** Called with true when the first shard stops serving, with false when all of them serve again. */
  readonly onAway: (away: boolean) => void;
}

interface Shard extends Watched, Lived {}

/** What a gateway knows of the call that a shard was running. */
type RunningCall = Parameters<CrashCount['crashed']>[0];

export class Shards {
  readonly #parts: ShardsParts;
  readonly #shards: Shard[];
  readonly #away = new Set<number>();

  /** `ports[s]` are shard s's ends of its cables to the gateways, `keepers[s]` its end of the one to the keeper. */
  constructor(parts: ShardsParts, ports: readonly MessagePort[][], keepers: readonly MessagePort[]) {
    this.#parts = parts;
    this.#shards = ports.map((row, index) => this.#spawn(index, row, keepers[index]!, undefined));
  }

  /** Asks all of them; settles when all have answered. */
  async ask<T = void>(question: string): Promise<T[]> {
    return await Promise.all(this.#shards.map(({ thread }) => thread.ask<T>(question)));
  }

  /** From the `start` question on: a loop in an app's module is told by the start's own time. */
  watch(): void {
    for (const shard of this.#shards) this.#parts.watchdog.watch(shard);
  }

  /** As they are now, by number. */
  get threads(): readonly Thread[] {
    return this.#shards.map(({ thread }) => thread);
  }

  async terminate(): Promise<void> {
    await Promise.all(this.#shards.map(({ thread }) => thread.terminate()));
  }

  /** Lays cables to a gateway that was started anew. A shard that is away lays its own when it is back. */
  async connectGateway(gateway: number, ports: readonly MessagePort[]): Promise<void> {
    await Promise.allSettled(
      this.#shards.map(({ thread }, at) => {
        const port = ports[at]!;
        return thread.ask('gatewayBack', { gateway, port }, [port]);
      }),
    );
  }

  /** Shards that do not serve now. */
  get away(): Iterable<number> {
    return this.#away;
  }

  /** `waitedMs`: how long it waited to take a dead one's place; undefined for the first. */
  #spawn(index: number, ports: readonly MessagePort[], keeper: MessagePort, waitedMs: number | undefined): Shard {
    const { app, dataDir, limits } = this.#parts.config;
    const vitals = new Vitals();
    const restarted = waitedMs !== undefined;
    const waitMs = waitedMs === undefined ? 0 : longerWait(waitedMs);
    const { logOptions: log, lease: held } = this.#parts;
    const lease = held?.memory;
    const data = { index, app, dataDir, limits, lease, restarted, ports, keeper, vitals: vitals.memory, log };
    const thread = new Thread(`shard-${index}`, 'shard', data, [...ports, keeper], limits.shardHeapMbMax);
    const shard = { thread, vitals, startedMs: performance.now(), waitMs };
    void thread.died.then(({ code, error }) => {
      if (this.#parts.stopping()) return;
      this.#parts.log.error({ about: thread.name, code, err: error }, 'a shard died; it is started again');
      this.#succeed(index, shard).catch((failure: unknown) => {
        this.#parts.log.error(
          { about: thread.name, err: failure },
          'a shard could not be started again; it is tried once more',
        );
      });
    });
    return shard;
  }

  async #succeed(index: number, dead: Shard): Promise<void> {
    this.#setAway(index, true);
    await this.#settleCalls(index, dead);
    const waitMs = waitAfter(dead);
    await sleep(waitMs);
    if (this.#parts.stopping()) return;
    await this.#parts.restarts.run('shard', () => this.#restart(index, waitMs));
  }

  async #restart(index: number, waitMs: number): Promise<void> {
    const { keeper, watchdog } = this.#parts;
    const gateways = this.#parts.gateways();
    const cables = gateways.map(() => new MessageChannel());
    const toKeeper = new MessageChannel();
    const ports = cables.map(({ port2 }) => port2);
    const next = this.#spawn(index, ports, toKeeper.port2, waitMs);
    this.#shards[index] = next;
    try {
      await next.thread.ask('load');
      await keeper.ask('connect', { shard: index, port: toKeeper.port1 }, [toKeeper.port1]);
      await next.thread.ask('start');
    } catch (error) {
      // A disk that fails for a while, an app that is being replaced: its end makes the next one.
      await next.thread.terminate();
      throw error;
    }
    watchdog.watch(next);
    // A gateway that died meanwhile lays its own cables when it is back.
    await Promise.allSettled(
      gateways.map((gateway, at) => {
        const { port1 } = cables[at]!;
        return gateway.ask('shardBack', { shard: index, port: port1 }, [port1]);
      }),
    );
    this.#setAway(index, false);
    // Whose session ended while the shard was away is told goodbye now, also where nobody calls.
    await keeper.ask('closeStale', { shards: this.#shards.length, only: index });
    this.#parts.log.info({ about: next.thread.name }, 'the shard serves again');
  }

  /** Whoever waits for the dead shard hears `unknown`; the call that it was running is counted. */
  async #settleCalls(index: number, { vitals }: Shard): Promise<void> {
    const { running } = vitals;
    const told = await Promise.allSettled(
      this.#parts.gateways().map((gateway, at) => {
        const call = running?.gateway === at ? running.call : 0;
        return gateway.ask<RunningCall | undefined>('shardLost', { shard: index, call });
      }),
    );
    const culprit = told.find((answer) => answer.status === 'fulfilled' && answer.value !== undefined);
    if (culprit?.status === 'fulfilled' && culprit.value !== undefined)
      this.#parts.crashes.crashed(culprit.value, Date.now());
  }

  #setAway(index: number, away: boolean): void {
    const before = this.#away.size;
    if (away) this.#away.add(index);
    else this.#away.delete(index);
    if (before > 0 !== this.#away.size > 0) this.#parts.onAway(away);
  }
}
