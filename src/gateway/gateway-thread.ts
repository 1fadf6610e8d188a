/**
 * The life of a gateway thread, as main asks for it: start, then shardLost and shardBack as shards die and return,
 * setPoison when a call is quarantined, takeSessionRecords about once per second (and once more after close), metrics for each scrape, and on the way down stopListening, announceShutdown, settled, close.
 */
import type { MessagePort } from 'node:worker_threads';
import { systemClock } from '../host/clock.ts';
import { createLog, type LogOptions } from '../host/log.ts';
import { LoopDelay } from '../host/loop-delay.ts';
import { Phase } from '../host/phase.ts';
import type { GatewayLink } from '../transport/contract.ts';
import { devFiles } from './dev-files.ts';
import { startGateway, type Gateway, type GatewayOptions } from './gateway.ts';

type Given = Pick<
  GatewayOptions,
  'index' | 'gateways' | 'boot' | 'life' | 'host' | 'exclusivePort' | 'config' | 'devSecret'
>;

export interface GatewayThreadData extends Given {
  /** Folder of pages, in development only. */
  readonly devRoot?: string;
  /** One per shard. */
  readonly ports: readonly MessagePort[];
  readonly phase: SharedArrayBuffer;
  readonly log: LogOptions;
}

/** A link whose shards may be replaced. */
type Link = GatewayLink & { replace(shard: number, port: MessagePort): void };

export function gatewayThread(data: GatewayThreadData, link: Link): Record<string, (argument: unknown) => unknown> {
  const { devRoot, phase, log, index, gateways, boot, life = 0, host, exclusivePort, config, devSecret } = data;
  let gateway: Gateway | undefined;
  const loopDelay = new LoopDelay(`gateway-${index}`);
  const threadLog = createLog(log, `gateway-${index}`);
  // Whatever went wrong, sockets must be let go before the thread ends: Node aborts the process otherwise.
  process.on('uncaughtException', (error) => {
    threadLog.fatal({ err: error }, 'a fault in the gateway');
    void (gateway?.close(0) ?? Promise.resolve()).finally(() => process.exit(1));
  });
  return {
    async start(port) {
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
        link,
        phase: new Phase(phase),
        log: threadLog,
        clock: systemClock,
      });
      return { port: gateway.port };
    },
    setPoison: (fingerprints) => gateway?.setPoison(fingerprints as string[]),
    shardLost(lost) {
      const { shard, call } = lost as { shard: number; call: number };
      return gateway?.shardLost(shard, call);
    },
    shardBack(back) {
      const { shard, port } = back as { shard: number; port: MessagePort };
      link.replace(shard, port);
      gateway?.shardBack(shard);
    },
    metrics: () => [...(gateway?.samples() ?? []), loopDelay.sample()],
    takeSessionRecords: () => gateway?.takeSessionRecords() ?? [],
    stopListening: () => gateway?.stopListening(),
    announceShutdown: (reconnectMsMax) => gateway?.announceShutdown(reconnectMsMax as number),
    settled: () => gateway?.settled(),
    close: (flushMsMax) => gateway?.close(flushMsMax as number),
  };
}
