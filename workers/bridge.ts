/** Entry of a bridge thread: NATS on one side, shards on the other. */
import { setTimeout as sleep } from 'node:timers/promises';
import { workerData } from 'node:worker_threads';
import { bridgeThread, type BridgeThreadData } from '../src/bridge/bridge-thread.ts';
import type { NatsConfig } from '../src/host/config.ts';
import { answerMain } from '../src/host/thread.ts';
import { gatewayLink } from '../src/transport/embedded.ts';
import { connectNats } from '../src/transport/nats-connection.ts';
import { natsSlotLink } from '../src/transport/nats-slot-link.ts';
import { slotSamples } from '../src/transport/nats-slot-samples.ts';

interface Data extends BridgeThreadData {
  readonly nats: NatsConfig;
  /** Names this run of the process on NATS. */
  readonly runtime: string;
}

/** For the last words to a server that does not answer. */
const flushMsMax = 2000;

const data = workerData as Data;
const { nats, runtime } = data;
answerMain(
  bridgeThread(data, gatewayLink(data.ports), async ({ log, clock }) => {
    const nc = await connectNats(nats, { name: `fermata-bridge-${runtime}`, log });
    const slotLink = natsSlotLink(nc, { runtime, log, clock, streams: { replicas: nats.replicas } });
    return {
      slotLink,
      samples: () => slotSamples(nc, slotLink),
      async close() {
        if (nc.info !== undefined) {
          const drained = nc.drain().catch(() => undefined);
          await Promise.race([drained, sleep(flushMsMax, undefined, { ref: false })]);
        }
        await nc.close();
      },
    };
  }),
);
