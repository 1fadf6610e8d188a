/** Entry of a gateway thread: sockets on one side, shards on the other. */
import { workerData } from 'node:worker_threads';
import { gatewayThread, type GatewayThreadData } from '../src/gateway/gateway-thread.ts';
import { answerMain } from '../src/host/thread.ts';
import { gatewayLink } from '../src/transport/embedded.ts';

const data = workerData as GatewayThreadData;
answerMain(gatewayThread(data, gatewayLink(data.ports)));
