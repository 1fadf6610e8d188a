/**
 * The life of a shard thread: load the app, open the journal, run the shard, stop. Main asks for each by name.
 *
 * The app is loaded first and by itself, so that a mistake in it is told before anything is touched.
 */
import type { MessagePort } from 'node:worker_threads';
import type { ActorDefinition, AppDefinition } from '../actor/definition.ts';
import { systemClock } from '../host/clock.ts';
import { Lease } from '../host/lease.ts';
import { createLog, type LogOptions } from '../host/log.ts';
import { LogGate } from '../host/log-gate.ts';
import { LoopDelay } from '../host/loop-delay.ts';
import { pulseMs, Vitals } from '../host/vitals.ts';
import type { Limits } from '../protocol/limits.ts';
import { Journal } from '../storage/journal.ts';
import { keeperPort } from '../storage/keeper-port.ts';
import { journalPath } from '../storage/paths.ts';
import type { ShardLink } from '../transport/contract.ts';
import { loadApp } from './load-app.ts';
import { Shard } from './shard.ts';

export interface ShardThreadData {
  readonly index: number;
  /** Path of the app's module, from the working directory. */
  readonly app: string;
  readonly dataDir: string;
  readonly limits: Limits;
  /** It takes a dead one's place. */
  readonly restarted: boolean;
  /** One per gateway. */
  readonly ports: readonly MessagePort[];
  readonly keeper: MessagePort;
  /** Memory of `Vitals`. */
  readonly vitals: SharedArrayBuffer;
  /** Memory of the node's `Lease`; absent where no other process can own the data. */
  readonly lease?: SharedArrayBuffer;
  readonly log: LogOptions;
}

/** An actor type of the loaded app, with a method to try it by: one without input where there is one. */
export interface LoadedType {
  readonly type: string;
  readonly method?: string;
  readonly takesInput?: boolean;
}

function simplestCall(methods: ActorDefinition['methods']): Omit<LoadedType, 'type'> {
  const [method, definition] = [...methods].find(([, { input }]) => input === undefined) ?? [...methods][0] ?? [];
  return method === undefined ? {} : { method, takesInput: definition?.input !== undefined };
}

/** A link whose gateways may be replaced. */
type Link = ShardLink & { replace(gateway: number, port: MessagePort): void };

/**
 * The answers to main's questions: `load`, `start`, `drain`, `deactivate`, `stop`, in that order, and `gatewayBack`
 * {gateway, port} for a gateway that was started anew; `metrics` at any time.
 */
export function shardThread(data: ShardThreadData, link: Link): Record<string, (argument: unknown) => unknown> {
  const log = createLog(data.log, `shard-${data.index}`);
  const lines = new LogGate(log, systemClock.monotonic);
  const loopDelay = new LoopDelay(`shard-${data.index}`);
  let app: AppDefinition | undefined;
  let shard: Shard | undefined;
  const vitals = new Vitals(data.vitals);
  setInterval(() => vitals.beat(), pulseMs).unref();
  // A promise that an author's code let go of. Its turn has ended and its draft is revoked, so that no state is at risk.
  process.on('unhandledRejection', (reason) => {
    lines.write(
      'an unawaited rejection',
      'error',
      { err: reason },
      'a promise in the app was rejected and nobody awaited it. Hint: await it in its handler, or catch it',
    );
  });
  return {
    async load() {
      app = await loadApp(data.app, process.cwd());
      return [...app.actors].map(([type, { methods }]) => ({ type, ...simplestCall(methods) }));
    },
    start() {
      if (app === undefined) throw new Error('the app must be loaded before the shard starts');
      shard = new Shard({
        app,
        journal: Journal.open(
          journalPath(data.dataDir, data.index),
          0,
          systemClock,
          data.lease === undefined ? undefined : new Lease(data.lease),
        ),
        keeper: keeperPort(data.keeper),
        link,
        limits: data.limits,
        clock: systemClock,
        vitals,
        log,
        restarted: data.restarted,
      });
    },
    gatewayBack(back) {
      const { gateway, port } = back as { gateway: number; port: MessagePort };
      link.replace(gateway, port);
    },
    metrics: () => [...(shard?.samples(String(data.index)) ?? []), loopDelay.sample()],
    drain: () => shard?.drain(),
    deactivate: () => shard?.deactivateAll(),
    stop: () => shard?.stop(),
  };
}
