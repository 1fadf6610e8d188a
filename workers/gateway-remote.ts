/** What a gateway thread has on its other side where the shards are in other processes: NATS. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Remote } from '../src/gateway/gateway-thread.ts';
import { systemClock } from '../src/host/clock.ts';
import type { NatsConfig } from '../src/host/config.ts';
import type { Logger } from '../src/host/log.ts';
import { connectNats } from '../src/transport/nats-connection.ts';
import { natsGatewayLink } from '../src/transport/nats-gateway-link.ts';
import { idPattern } from '../src/transport/nats-names.ts';
import { natsSessionsChannel } from '../src/transport/nats-sessions-channel.ts';

/** For the last words to a server that does not answer. */
const flushMsMax = 2000;

export async function openRemote(config: NatsConfig, log: Logger): Promise<Remote> {
  const key = randomBytes(10).toString('hex');
  const nc = await connectNats(config, { name: `fermata-gateway-${key}`, log });
  const streams = { replicas: config.replicas };
  const link = natsGatewayLink(nc, { gateway: key, log, clock: systemClock, streams });
  return {
    link,
    peers: { key, channel: natsSessionsChannel(nc), has: (peer) => idPattern.test(peer), outlive: true },
    async close() {
      link.close();
      const drained = nc.drain().catch(() => undefined);
      await Promise.race([drained, sleep(flushMsMax, undefined, { ref: false })]);
      await nc.close();
    },
  };
}
