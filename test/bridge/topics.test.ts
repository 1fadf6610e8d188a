import { describe, expect, it } from 'vitest';
import type { OutboundFrame } from '../../src/protocol/envelope.ts';
import { a, b, type BridgeRig, end, infoOf, nothingLeft, open, slot, startBridge } from './rig.ts';

/** Sessions 1 and 2 of gateway a and session 3 of b, under the same numbers towards the shards. */
async function withThree(shards = 1): Promise<BridgeRig> {
  const rig = await startBridge({ shards });
  rig.nats.deliver(a, slot, [open(11, infoOf('ann')), open(12, infoOf('ben'))]);
  rig.nats.deliver(b, slot, [open(11, infoOf('cat'))]);
  rig.nats.steps.length = 0;
  return rig;
}

const brief = (rig: BridgeRig) =>
  rig.nats.sent.map(({ gateway, op, a: first, b: second, body }) => [
    gateway === a ? 'a' : 'b',
    op,
    first,
    ...(second === 0 ? [] : [second]),
    ...(body === '' ? [] : [body]),
  ]);

describe('a topic', () => {
  it('is published once to each gateway that has members, as long as it has some', async () => {
    const rig = await withThree();
    rig.shards.emit(0, (out) => {
      for (const session of [1, 2, 3]) out.add('S', session, 5, 0, '');
      out.add('P', 5, 0, 0, 'all');
      out.add('U', 3, 5, 0, '');
      out.add('P', 5, 0, 0, 'a only');
      out.add('U', 1, 5, 0, '');
      out.add('P', 5, 0, 0, 'still a');
      out.add('U', 2, 5, 0, '');
      out.add('P', 5, 0, 0, 'nobody');
    });
    expect(brief(rig).filter(([gateway]) => gateway === 'a')).toEqual([
      ['a', 'S', 11, 5],
      ['a', 'S', 12, 5],
      ['a', 'P', 5, 'all'],
      ['a', 'P', 5, 'a only'],
      ['a', 'U', 11, 5],
      ['a', 'P', 5, 'still a'],
      ['a', 'U', 12, 5],
    ]);
    expect(brief(rig).filter(([gateway]) => gateway === 'b')).toEqual([
      ['b', 'S', 11, 5],
      ['b', 'P', 5, 'all'],
      ['b', 'U', 11, 5],
    ]);
    // One text for each of them.
    expect(rig.nats.steps).toEqual([`send ${a} ${slot}`, `send ${b} ${slot}`]);
    expect(rig.bridge.counts().topics).toBe(0);
  });

  it('of one shard is not that of another with the same number', async () => {
    const rig = await withThree(2);
    rig.shards.emit(0, (out) => out.add('S', 1, 5, 0, ''));
    rig.shards.emit(1, (out) => out.add('S', 3, 5, 0, ''));
    rig.shards.emit(1, (out) => out.add('P', 5, 0, 0, 'of shard 1'));
    rig.shards.emit(0, (out) => out.add('P', 5, 0, 0, 'of shard 0'));
    expect(brief(rig)).toEqual([
      ['a', 'S', 11, 10],
      ['b', 'S', 11, 11],
      ['b', 'P', 11, 'of shard 1'],
      ['a', 'P', 10, 'of shard 0'],
    ]);
  });

  it('ends for its members when its shard dies, and for no others', async () => {
    const rig = await withThree(2);
    const join = (topic: number) => (out: OutboundFrame) => {
      for (const session of [1, 3]) out.add('S', session, topic, 0, '');
    };
    rig.shards.emit(0, join(5));
    rig.shards.emit(1, join(5));
    rig.nats.sent.length = 0;
    rig.bridge.shardLost(0, 0);
    expect(brief(rig)).toEqual([
      ['a', 'U', 11, 10],
      ['b', 'U', 11, 10],
    ]);
    expect(rig.bridge.counts().topics).toBe(1);
  });

  it('loses a member that ends', async () => {
    const rig = await withThree();
    rig.shards.emit(0, (out) => {
      out.add('S', 1, 5, 0, '');
      out.add('S', 2, 6, 0, '');
    });
    rig.nats.deliver(a, slot, [end(11)]);
    expect(rig.bridge.counts().topics).toBe(1);
    rig.nats.deliver(a, slot, [end(12)]);
    rig.nats.deliver(b, slot, [end(11)]);
    expect(rig.bridge.counts()).toMatchObject(nothingLeft);
  });
});

describe('a text for several sessions', () => {
  it('goes once to each of their gateways, with that one’s numbers', async () => {
    const rig = await withThree();
    rig.shards.emit(0, (out) => out.add('T', 0, 0, 0, '1,2,99,3;{"a":";"}'));
    expect(brief(rig)).toEqual([
      ['a', 'T', 0, '11,12;{"a":";"}'],
      ['b', 'T', 0, '11;{"a":";"}'],
    ]);
  });

  it('to nobody who is there is not sent', async () => {
    const rig = await withThree();
    rig.shards.emit(0, (out) => {
      out.add('T', 0, 0, 0, '98,99;x');
      out.add('M', 99, 0, 0, 'x');
      out.add('S', 99, 5, 0, '');
      out.add('U', 99, 5, 0, '');
      out.add('P', 5, 0, 0, 'x');
      out.add('K', 99, 1, 0, 'x');
      out.add('E', 99, 0, 0, '{}');
    });
    expect(rig.nats.sent).toEqual([]);
  });
});
