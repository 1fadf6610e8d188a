import { describe, expect, it } from 'vitest';
import { inboundOp } from '../../src/protocol/envelope.ts';
import {
  a,
  b,
  call,
  detach,
  end,
  heard,
  infoOf,
  nothingLeft,
  open,
  outcomeOf,
  present,
  quiet,
  read,
  slot,
  startBridge,
  subscribe,
  until,
} from './rig.ts';

const { open: opened, subscribe: subscribed, present: presented } = inboundOp;

describe('a shard that dies', () => {
  it('ends the calls of all gateways that wait for it as unknown, and names the one that it was running', async () => {
    const rig = await startBridge();
    rig.nats.deliver(a, slot, [open(1, infoOf('ann'))]);
    rig.nats.deliver(b, slot, [open(1, infoOf('ben'))]);
    const frames = [
      rig.nats.deliver(a, slot, [call(1, 1, 'hold', { key: 'k', input: 7 })]),
      rig.nats.deliver(b, slot, [call(1, 1, 'hold')]),
    ];
    await until(() => rig.shards.held.length === 2);
    const running = rig.bridge.shardLost(0, rig.shards.held[0]!.call);
    expect(running).toEqual({
      fingerprint: expect.stringMatching(/^[\da-f]{32}$/) as string,
      tenant: 't1',
      actor: 'counter',
      actorId: 'c1',
      method: 'hold',
      key: 'k',
    });
    expect([outcomeOf(rig, a, 1), outcomeOf(rig, b, 1)]).toEqual(['UNKNOWN', 'UNKNOWN']);
    expect(frames.map(({ done }) => done)).toEqual([true, true]);
    // Until its successor is there, calls are refused here.
    rig.nats.deliver(a, slot, [call(1, 2), read(1, 3)]);
    expect([outcomeOf(rig, a, 2), outcomeOf(rig, a, 3)]).toEqual(['OVERLOADED', 'OVERLOADED']);
    expect(rig.bridge.counts()).toMatchObject({ calls: 0, frames: 0 });
    expect(rig.bridge.shardLost(0, 999)).toBeUndefined();
  });

  it('is told by its successor’s time who is there and what they watch, also what was said meanwhile', async () => {
    const rig = await startBridge();
    rig.nats.deliver(a, slot, [open(1, infoOf('ann')), subscribe(1), open(2, infoOf('ben')), subscribe(2)]);
    rig.nats.deliver(b, slot, [open(1, infoOf('cat')), call(1, 1), open(2, infoOf('dan'))]);
    await until(() => outcomeOf(rig, b, 1) === 'ok');
    rig.bridge.shardLost(0, 0);
    rig.nats.deliver(a, slot, [end(2), detach(1)]);
    rig.nats.deliver(b, slot, [subscribe(2, 'c2')]);
    const from = rig.shards.all.length;
    rig.bridge.shardBack(0);
    await until(() => rig.shards.all.at(-1)!.envelope[0] === presented);
    expect(heard(rig, from)).toEqual([
      [0, opened, 1],
      [0, opened, 3],
      [0, opened, 4],
      [0, subscribed, 4, 'counter', 'c2', 'state'],
      [0, presented, 0, [1, 3, 4]],
    ]);
    rig.nats.deliver(b, slot, [call(1, 2)]);
    await until(() => outcomeOf(rig, b, 2) === 'ok');
  });

  it('while a slot is taken hears of the sessions that were presented when it is back', async () => {
    const rig = await startBridge();
    rig.bridge.shardLost(0, 0);
    rig.nats.deliver(a, slot, [open(5, infoOf('ann')), present(5)], { kind: 'presence' });
    await quiet();
    expect(rig.shards.all).toEqual([]);
    rig.bridge.shardBack(0);
    await until(() => rig.shards.all.length === 2);
    expect(heard(rig)).toEqual([
      [0, opened, 1],
      [0, presented, 0, [1]],
    ]);
    rig.nats.gone(a);
    expect(rig.bridge.counts()).toMatchObject(nothingLeft);
  });
});
