import { afterEach, describe, expect, it } from 'vitest';
import { plainNats } from '../../src/host/config-nats.ts';
import type { NatsConfig } from '../../src/host/config.ts';
import { systemClock } from '../../src/host/clock.ts';
import { Thread } from '../../src/host/thread.ts';
import { decodeInbound, decodeOutbound, type Inbound, inboundOp } from '../../src/protocol/envelope.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { layCables, shardLink } from '../../src/transport/embedded.ts';
import { natsGatewayLink } from '../../src/transport/nats-gateway-link.ts';
import { NatsRig, newKey } from '../transport/nats-rig.ts';
import { call, infoOf, open, present, silent, slot, until } from './rig.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

/** The thread as it is in production, over one scripted shard that says its input back. */
function spawn(nats: NatsConfig): { thread: Thread; ops: number[] } {
  const { toShards, toGateways } = layCables(1, 1);
  const ports = toShards[0]!;
  const log = { level: 'silent', pretty: false };
  const data = { nats, runtime: newKey('runtime'), boot: 'this-boot', limits: defaultLimits, ports, log };
  const thread = new Thread('bridge', 'bridge', data, ports);
  const shard = shardLink(toGateways[0]!);
  closers.push(
    () => shard.close(),
    () => thread.terminate(),
  );
  const ops: number[] = [];
  shard.onFrame((frame, gateway) => {
    for (const envelope of decodeInbound(frame)) {
      ops.push(envelope[0]);
      if (envelope[0] !== inboundOp.call) continue;
      const body = JSON.stringify(envelope[9]);
      shard.send(gateway, `K${envelope[2]},1,0,${body.length};${body}`);
    }
  });
  return { thread, ops };
}

describe('the bridge’s thread over NATS', () => {
  it('answers a gateway of another process, and gives up a slot without a word to the shards', async () => {
    const rig = await NatsRig.start();
    closers.push(() => rig.close());
    const { thread, ops } = spawn(plainNats(rig.server.url));
    await thread.ask('start');

    const nc = await rig.connection();
    const parts = { log: silent, clock: systemClock, streams: { replicas: 1 } };
    const gateway = natsGatewayLink(nc, { gateway: newKey('gateway'), ...parts });
    closers.push(() => gateway.close());
    const say = (...envelopes: Inbound[]): void => gateway.send(slot, JSON.stringify(envelopes));
    const answers: string[] = [];
    gateway.onFrame((frame) => decodeOutbound(frame, (op, number, _b, _c, body) => answers.push(op + number + body)));
    gateway.onTurnover(() => say(open(1, infoOf('ann')), present(1)));

    const asked = thread.ask<number>('nextUnmarked').then((unmarked) => thread.ask('marked', unmarked));
    await thread.ask('take', { slot, epoch: 1 });
    await asked;
    say(call(1, 41, 'echo', { input: 'to and fro' }));
    await until(() => answers.length > 0);
    expect(answers).toEqual(['K41"to and fro"']);
    expect(ops).toEqual([inboundOp.open, inboundOp.call]);

    await thread.ask('release', slot);
    await thread.ask('forget', slot);
    await until(() => ops.at(-1) === inboundOp.leave);
    await thread.ask('close');
  });

  it('says why it cannot start when NATS is not there', async () => {
    const { thread } = spawn(plainNats('nats://127.0.0.1:1'));
    await expect(thread.ask('start')).rejects.toMatchObject({ kind: 'NatsConnectError' });
  });
});
