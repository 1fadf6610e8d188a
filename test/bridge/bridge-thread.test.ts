import { MessageChannel } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { bridgeThread } from '../../src/bridge/bridge-thread.ts';
import { decodeInbound, inboundOp } from '../../src/protocol/envelope.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { gatewayLink, layCables, shardLink } from '../../src/transport/embedded.ts';
import { FakeSlotLink } from './fake-slot-link.ts';
import { a, answered, call, infoOf, open, slot, until } from './rig.ts';

describe('the bridge thread', () => {
  it('starts, takes slots, follows its shards, gives slots away and closes', async () => {
    const { toShards, toGateways } = layCables(1, 1);
    const nats = new FakeSlotLink();
    const link = gatewayLink(toShards[0]!);
    const heard: number[] = [];
    let letGo = 0;
    const serve = (ports: (typeof toGateways)[number]) => {
      const shard = shardLink(ports);
      shard.onFrame((frame, gateway) => {
        for (const [op, , number] of decodeInbound(frame)) {
          heard.push(op);
          if (op === inboundOp.call) shard.send(gateway, `K${number},1,0,3;"x"`);
        }
      });
      return shard;
    };
    const first = serve(toGateways[0]!);
    const data = {
      boot: 'alone',
      limits: defaultLimits,
      ports: toShards[0]!,
      log: { level: 'silent', pretty: false },
    } as const;
    const opened = { slotLink: nats, samples: async () => [], close: async () => void (letGo += 1) };
    const thread = bridgeThread(data, link, async () => opened);
    const ask = (question: string, argument?: unknown) => thread[question]!(argument);

    expect(() => ask('take', { slot, epoch: 1 })).toThrow('before it was started');
    expect(await ask('takeSessionRecords')).toEqual([]);
    await ask('start');
    await ask('take', { slot, epoch: 7 });
    expect(nats.taken).toEqual(new Map([[slot, 7]]));
    nats.deliver(a, slot, [open(1, infoOf('ann')), call(1, 1)]);
    // Nothing is run before the slot is known to hold data.
    expect(await ask('nextUnmarked')).toBe(slot);
    ask('markAgain', slot);
    expect(await ask('nextUnmarked')).toBe(slot);
    expect(nats.sent).toEqual([]);
    ask('marked', slot);
    await until(() => nats.told(a).length === 1);
    expect(nats.told(a)).toEqual([answered(1)]);
    expect(ask('takeSessionRecords')).toMatchObject([{ sessionId: 'session-ann', boot: 'alone' }]);

    first.close();
    expect(ask('shardLost', { shard: 0, call: 0 })).toBeUndefined();
    const { port1, port2 } = new MessageChannel();
    const second = serve([port2]);
    ask('shardBack', { shard: 0, port: port1 });
    nats.deliver(a, slot, [call(1, 2)]);
    await until(() => nats.told(a).length === 2);

    ask('setPoison', ['nothing']);
    const names = ((await ask('metrics')) as { name: string }[]).map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['fermata_calls_total', 'fermata_event_loop_delay_seconds']));
    await ask('release', slot);
    ask('forget', slot);
    await until(() => heard.at(-1) === inboundOp.leave);
    await ask('stopTaking');
    await ask('settled');
    const next = ask('nextUnmarked');
    await ask('close');
    await ask('close');
    expect(await next).toBeUndefined();
    expect(letGo).toBe(1);
    expect(nats).toMatchObject({ closed: true, taken: new Map() });
    second.close();
    link.close();
  });

  it('says why it cannot start', async () => {
    const { toShards } = layCables(1, 1);
    const link = gatewayLink(toShards[0]!);
    const data = { boot: 'b', limits: defaultLimits, ports: [], log: { level: 'silent', pretty: false } } as const;
    const thread = bridgeThread(data, link, () => Promise.reject(new Error('no connection to NATS')));
    await expect(thread['start']!(undefined)).rejects.toThrow('no connection to NATS');
    link.close();
  });
});
