/**
 * Thread entry of a gateway. Main asks: start, stopListening, announceShutdown, settled, close.
 */
import { workerData, type MessagePort } from 'node:worker_threads';
import { devFiles } from '../src/gateway/dev-files.ts';
import { startGateway, type Gateway, type GatewayOptions } from '../src/gateway/gateway.ts';
import { systemClock } from '../src/host/clock.ts';
import { createLog, type LogOptions } from '../src/host/log.ts';
import { Phase } from '../src/host/phase.ts';
import { answerMain } from '../src/host/thread.ts';
import { gatewayLink } from '../src/transport/embedded.ts';

export interface GatewayData extends Pick<GatewayOptions, 'index' | 'host' | 'exclusivePort' | 'config' | 'devSecret'> {
  readonly devRoot?: string;
  readonly ports: readonly MessagePort[];
  readonly phase: SharedArrayBuffer;
  readonly log: LogOptions;
}

const { devRoot, ports, phase, log, ...options } = workerData as GatewayData;
let gateway: Gateway | undefined;

answerMain({
  async start(port) {
    gateway = await startGateway({
      ...options,
      port: port as number,
      ...(devRoot === undefined ? {} : { devFiles: devFiles(devRoot) }),
      link: gatewayLink(ports),
      phase: new Phase(phase),
      log: createLog(log, `gateway-${options.index}`),
      clock: systemClock,
    });
    return { port: gateway.port };
  },
  stopListening: () => gateway?.stopListening(),
  announceShutdown: (reconnectMsMax) => gateway?.announceShutdown(reconnectMsMax as number),
  settled: () => gateway?.settled(),
  close: (flushMsMax) => gateway?.close(flushMsMax as number),
});
