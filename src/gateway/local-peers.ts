/** The gateway threads of one process as each other's peers. The channel is named by the run of the process. */
import { BroadcastChannel } from 'node:worker_threads';
import type { SessionsChannel } from '../transport/sessions-channel.ts';
import type { Peers } from './handover.ts';

export interface LocalPlace {
  readonly index: number;
  readonly gateways: number;
  readonly boot: string;
}

export function localPeers({ index, gateways, boot }: LocalPlace): Peers {
  const keys = new Set(Array.from({ length: gateways }, (_, gateway) => String(gateway)));
  const channel = gateways > 1 ? localChannel(`fermata sessions ${boot}`) : undefined;
  return { key: String(index), channel, has: (key) => keys.has(key), outlive: false };
}

function localChannel(name: string): SessionsChannel {
  const channel = new BroadcastChannel(name);
  // The package's types lack it. An open channel alone must not keep the thread alive.
  (channel as unknown as { unref(): void }).unref();
  return {
    post(message) {
      channel.postMessage(message);
      return true;
    },
    onMessage: (hear) => channel.addEventListener('message', (event) => hear((event as MessageEvent).data)),
    close: () => channel.close(),
  };
}
