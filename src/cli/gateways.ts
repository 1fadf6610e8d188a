/**
 * The gateway threads, from main's side: started together, and each started again by itself when it dies of a fault.
 *
 *   thread dies ─▶ its sockets are gone with it ─▶ new thread, new cables ─▶ shards end its sessions ─▶ it listens again
 *
 * Its clients come back by themselves; their calls with a key go on, the others end as unknown. A thread that dies with
 * its sockets open, of a full heap for instance, takes the process with it: uWebSockets cannot outlive its loop.
 */
import { dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Config } from '../host/config.ts';
import type { Logger } from '../host/log.ts';
import { Thread } from '../host/thread.ts';
import { type Lived, longerWait, type Restarts, waitAfter } from './restarts.ts';

export interface GatewaysParts {
  /** What a gateway's thread is given beside its number and its ports. */
  readonly data: Readonly<Record<string, unknown>>;
  readonly log: Logger;
  readonly restarts: Restarts;
  readonly stopping: () => boolean;
  /** Gives each shard its end of a cable to this gateway. */
  readonly connect: (gateway: number, ports: readonly MessagePort[]) => Promise<void>;
  readonly onLost: (gateway: number) => void;
  /** One that was started anew listens again. */
  readonly onBack: (thread: Thread) => Promise<void>;
}

interface Gateway extends Lived {
  readonly thread: Thread;
  /** How many there were before it. */
  readonly life: number;
}

export class Gateways {
  readonly #parts: GatewaysParts;
  readonly #gateways: Gateway[];
  readonly #shards: number;
  #port = 0;

  /** `ports[g]` are gateway g's ends of its cables to the shards. */
  constructor(parts: GatewaysParts, ports: readonly MessagePort[][]) {
    this.#parts = parts;
    this.#shards = ports[0]!.length;
    this.#gateways = ports.map((row, index) => this.#spawn(index, row, 0, 0));
    for (const [index, gateway] of this.#gateways.entries()) this.#supervise(index, gateway);
  }

  /** As they are now, by number. */
  get threads(): readonly Thread[] {
    return this.#gateways.map(({ thread }) => thread);
  }

  /**
   * Asks all of them; settles when all have answered, by number. One that is dead answers nothing: its sockets are gone, and
   * its successor is told what it needs when it is there.
   */
  async ask<T = void>(question: string, argument?: unknown): Promise<(T | undefined)[]> {
    return await Promise.all(
      this.threads.map(async (thread) => {
        try {
          return await thread.ask<T>(question, argument);
        } catch (error) {
          if (thread.isAlive) throw error;
          return undefined;
        }
      }),
    );
  }

  /** Listens on the port, or on a free one for 0. @returns the port */
  async start(port: number): Promise<number> {
    // The first takes the port; the others share it.
    this.#port = port;
    for (const thread of this.threads) this.#port = (await thread.ask<{ port: number }>('start', this.#port)).port;
    return this.#port;
  }

  async terminate(): Promise<void> {
    await Promise.all(this.threads.map((thread) => thread.terminate()));
  }

  #spawn(index: number, ports: readonly MessagePort[], waitMs: number, life: number): Gateway {
    const data = { ...this.#parts.data, index, life, ports };
    const thread = new Thread(`gateway-${index}`, 'gateway', data, ports);
    return { thread, startedMs: performance.now(), waitMs, life };
  }

  #supervise(index: number, gateway: Gateway): void {
    void gateway.thread.died.then(({ code, error }) => {
      const { log, stopping, onLost } = this.#parts;
      if (stopping()) return;
      log.error({ about: gateway.thread.name, code, err: error }, 'a gateway died; it is started again');
      onLost(index);
      void this.#succeed(index, gateway);
    });
  }

  async #succeed(index: number, dead: Gateway): Promise<void> {
    const { log, restarts, stopping } = this.#parts;
    for (let waitMs = waitAfter(dead), life = dead.life + 1; ; waitMs = longerWait(waitMs), life += 1) {
      await sleep(waitMs);
      try {
        await restarts.run('gateway', async () => (stopping() ? undefined : await this.#restart(index, waitMs, life)));
        return;
      } catch (error) {
        log.error(
          { about: dead.thread.name, err: error },
          'a gateway could not be started again; it is tried once more',
        );
      }
    }
  }

  async #restart(index: number, waitMs: number, life: number): Promise<void> {
    const { connect, onBack, stopping, log } = this.#parts;
    const cables = Array.from({ length: this.#shards }, () => new MessageChannel());
    const own = cables.map(({ port1 }) => port1);
    const next = this.#spawn(index, own, longerWait(waitMs), life);
    try {
      await connect(
        index,
        cables.map(({ port2 }) => port2),
      );
      await next.thread.ask('start', this.#port);
      // Nobody would tell it to close any more.
      if (stopping()) await next.thread.ask('close', 0);
    } catch (error) {
      await next.thread.terminate();
      throw error;
    }
    this.#gateways[index] = next;
    this.#supervise(index, next);
    await onBack(next.thread);
    log.info({ about: next.thread.name }, 'the gateway serves again');
  }
}

/** What every gateway is told of the configuration. */
export function gatewaySettings({ host, gateways, dev, allowedOrigins, auth, limits, app }: Config) {
  return {
    host,
    gateways,
    exclusivePort: gateways === 1,
    config: { dev, allowedOrigins, auth, limits },
    devRoot: dev ? devRootOf(app) : undefined,
  };
}

/** Where an app's pages lie, which are served in development. */
export function devRootOf(app: string): string {
  return resolve(dirname(app), 'public');
}
