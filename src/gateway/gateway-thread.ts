/**
 * The life of a gateway thread, as main asks for it: start, then shardLost and shardBack as shards die and return,
 * setPoison when a call is quarantined, takeSessionRecords about once per second (and once more after close), metrics for each scrape, and on the way down stopListening, announceShutdown, settled, close.
 *
 * Its shards are threads of this process at the ends of its ports, or with `nats` slots that other processes serve. Such a
 * link is opened by `start` and closed by `close`, after the sockets, so that the last word of each session still leaves.
 */
import type { MessagePort } from 'node:worker_threads';
import { systemClock } from '../host/clock.ts';
import type { NatsConfig } from '../host/config.ts';
import { createLog, type Logger, type LogOptions } from '../host/log.ts';
import { LoopDelay } from '../host/loop-delay.ts';
import { Phase } from '../host/phase.ts';
import type { GatewayLink, RemoteLink } from '../transport/contract.ts';
import { devFiles } from './dev-files.ts';
import { startGateway, type Gateway, type GatewayOptions } from './gateway.ts';
import type { Peers } from './handover.ts';

type Given = Pick<
  GatewayOptions,
  'index' | 'gateways' | 'boot' | 'life' | 'host' | 'exclusivePort' | 'config' | 'devSecret'
>;

export interface GatewayThreadData extends Given {
  /** Folder of pages, in development only. */
  readonly devRoot?: string;
  /** One per shard; none with `nats`. */
  readonly ports: readonly MessagePort[];
  /** Absent: the shards are of this process. */
  readonly nats?: NatsConfig;
  readonly phase: SharedArrayBuffer;
  readonly log: LogOptions;
}

/** A link whose shards may be replaced. */
type Cables = GatewayLink & { replace(shard: number, port: MessagePort): void };

/** A way to other processes, made for this thread alone. */
export interface Remote {
  readonly link: RemoteLink;
  readonly peers: Peers;
  /** Settles when what was sent has left, or cannot leave. */
  close(): Promise<void>;
}

/** @param shards cables to threads of this process, or what opens the way to other processes */
export function gatewayThread(
  data: GatewayThreadData,
  shards: Cables | ((log: Logger) => Promise<Remote>),
): Record<string, (argument: unknown) => unknown> {
  const { devRoot, phase, log, index, gateways, boot, life = 0, host, exclusivePort, config, devSecret } = data;
  let gateway: Gateway | undefined;
  let remote: Remote | undefined;
  let closing: Promise<void> | undefined;
  const loopDelay = new LoopDelay(`gateway-${index}`);
  const threadLog = createLog(log, `gateway-${index}`);
  // Whatever went wrong, sockets must be let go before the thread ends: Node aborts the process otherwise.
  process.on('uncaughtException', (error) => {
    threadLog.fatal({ err: error }, 'a fault in the gateway');
    void close(0).finally(() => process.exit(1));
  });
  return {
    async start(port) {
      remote = typeof shards === 'function' ? await shards(threadLog) : undefined;
      try {
        gateway = await startGateway({
          index,
          gateways,
          boot,
          life,
          host,
          exclusivePort,
          config,
          ...(devSecret === undefined ? {} : { devSecret }),
          ...(devRoot === undefined ? {} : { devFiles: devFiles(devRoot) }),
          port: port as number,
          link: typeof shards === 'function' ? remote!.link : shards,
          ...(remote === undefined ? {} : { peers: remote.peers }),
          phase: new Phase(phase),
          log: threadLog,
          clock: systemClock,
        });
      } catch (error) {
        await remote?.close();
        throw error;
      }
      return { port: gateway.port };
    },
    setPoison: (fingerprints) => gateway?.setPoison(fingerprints as string[]),
    shardLost(lost) {
      const { shard, call } = lost as { shard: number; call: number };
      return gateway?.shardLost(shard, call);
    },
    shardBack(back) {
      const { shard, port } = back as { shard: number; port: MessagePort };
      if (typeof shards !== 'function') shards.replace(shard, port);
      gateway?.shardBack(shard);
    },
    metrics: () => [...(gateway?.samples() ?? []), loopDelay.sample()],
    load: () => gateway?.samples().find(({ name }) => name === 'fermata_calls_in_flight')?.values[0]?.value ?? 0,
    takeSessionRecords: () => gateway?.takeSessionRecords() ?? [],
    stopListening: () => gateway?.stopListening(),
    announceShutdown: (reconnectMsMax) => gateway?.announceShutdown(reconnectMsMax as number),
    settled: () => gateway?.settled(),
    close: (flushMsMax) => (closing ??= close(flushMsMax as number)),
  };

  async function close(flushMsMax: number): Promise<void> {
    await gateway?.close(flushMsMax);
    await remote?.close();
  }
}
