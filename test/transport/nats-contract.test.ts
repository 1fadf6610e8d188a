import { afterAll, beforeAll } from 'vitest';
import type { GatewayLink, ShardLink } from '../../src/transport/contract.ts';
import { transportContract } from './contract.ts';
import { NatsRig, newKey, onePresent, silent } from './nats-rig.ts';
import { natsGatewayLink } from '../../src/transport/nats-gateway-link.ts';
import { natsSlotLink } from '../../src/transport/nats-slot-link.ts';
import { systemClock } from '../../src/host/clock.ts';

let rig: NatsRig;
let epoch = 0;

beforeAll(async () => {
  rig = await NatsRig.start({ config: 'max_payload: 8MB' });
});

afterAll(() => rig.close());

/** Shard n is slot n, served by a runtime of its own; gateways are numbered. */
transportContract('nats', async (gatewayCount, shardCount) => {
  const parts = { log: silent, clock: systemClock, streams: { replicas: 1 } };
  const keys = Array.from({ length: gatewayCount }, () => newKey('gateway'));
  const gateways: GatewayLink[] = [];
  const shards: ShardLink[] = [];
  epoch += 1;
  for (const gateway of keys) {
    const link = natsGatewayLink(await rig.connection(), { gateway, ...parts });
    link.onTurnover((slot) => link.send(slot, onePresent));
    gateways.push({
      shards: shardCount,
      place: () => 0,
      accepts: (slot) => link.accepts(slot),
      // Frames of gateways are JSON, always.
      send: (slot, frame) => link.send(slot, JSON.stringify([frame])),
      onFrame: (receive) => link.onFrame(receive),
      close: () => link.close(),
    });
  }
  for (let slot = 0; slot < shardCount; slot += 1) {
    const link = natsSlotLink(await rig.connection(), { runtime: newKey('runtime'), ...parts });
    await link.take(slot, epoch);
    shards.push({
      gateways: gatewayCount,
      send: (gateway, records) => link.send(keys[gateway]!, slot, records),
      onFrame(receive) {
        link.onFrame((frame) => {
          const gateway = keys.indexOf(frame.gateway);
          if (frame.kind === 'calls' && gateway >= 0) receive(JSON.parse(frame.text)[0], gateway);
          frame.done();
        });
      },
      close: () => void link.close(),
    });
  }
  return { gateways, shards };
});
