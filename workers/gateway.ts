/** Entry of a gateway thread: sockets on one side, on the other the shards of this process, or NATS. */
import { workerData } from 'node:worker_threads';
import { gatewayThread, type GatewayThreadData } from '../src/gateway/gateway-thread.ts';
import { answerMain } from '../src/host/thread.ts';
import { gatewayLink } from '../src/transport/embedded.ts';

const data = workerData as GatewayThreadData;
const { nats } = data;
answerMain(
  gatewayThread(
    data,
    // Loaded only where it is used: the package has fifty modules.
    nats === undefined
      ? gatewayLink(data.ports)
      : async (log) => (await import('./gateway-remote.ts')).openRemote(nats, log),
  ),
);
