import { describe, expect, it } from 'vitest';
import { inboundOp } from '../../src/protocol/envelope.ts';
import { slotOf } from '../../src/protocol/placement.ts';
import {
  a,
  b,
  call,
  detach,
  end,
  heard,
  httpInfo,
  infoOf,
  nothingLeft,
  open,
  outcomeOf,
  present,
  quiet,
  slot,
  startBridge,
  subscribe,
  until,
} from './rig.ts';

const { open: opened, end: ended, detach: detached, subscribe: subscribed, leave } = inboundOp;
const presence = { kind: 'presence' } as const;
const former = { doubtful: true } as const;

describe('a session of a gateway', () => {
  it('is known to a shard from its first call there on, with everything that the gateway said of it', async () => {
    const rig = await startBridge();
    const info = infoOf('ann');
    rig.nats.deliver(a, slot, [open(7, info)]);
    await quiet();
    expect(rig.shards.all).toEqual([]);
    rig.nats.deliver(a, slot, [open(7, infoOf('someone')), call(7, 1)]);
    await until(() => outcomeOf(rig, a, 1) === 'ok');
    expect(rig.shards.ops(opened)).toEqual([[opened, 1, info]]);
    expect(rig.shards.calls[0]![1]).toBe(1);
  });

  it('ends once, and is known no more', async () => {
    const rig = await startBridge();
    rig.nats.deliver(a, slot, [open(7, infoOf('ann')), call(7, 1), end(7), end(7), call(7, 2)]);
    await until(() => outcomeOf(rig, a, 1) === 'ok');
    expect(outcomeOf(rig, a, 2)).toBe('UNKNOWN');
    expect(rig.shards.ops(ended)).toEqual([[ended, 1]]);
    expect(rig.bridge.counts()).toMatchObject(nothingLeft);
  });

  it('that came back through another gateway goes on there, without an end', async () => {
    const rig = await startBridge();
    rig.nats.deliver(a, slot, [open(1, infoOf('ann')), call(1, 1, 'hold'), subscribe(1)]);
    await until(() => rig.shards.held.length === 1);
    rig.nats.deliver(b, slot, [open(1, infoOf('ann', { claims: { new: true } })), call(1, 1)]);
    await until(() => outcomeOf(rig, b, 1) === 'ok');
    expect(rig.shards.ops(opened)).toMatchObject([
      [opened, 1, { claims: { sub: 'ann' } }],
      [opened, 2, { claims: { new: true } }],
    ]);
    expect([...rig.shards.ops(ended), ...rig.shards.ops(detached)]).toEqual([]);
    // What the former gateway sends after that is not run; what it had under way is answered there.
    rig.nats.deliver(a, slot, [call(1, 2), end(1)]);
    expect(outcomeOf(rig, a, 2)).toBe('UNKNOWN');
    rig.shards.emit(0, (out) => {
      out.add('M', 1, 0, 0, 'to the old number');
      out.add('M', 2, 0, 0, 'to the new one');
    });
    rig.shards.release();
    expect(outcomeOf(rig, a, 1)).toBe('ok');
    expect(rig.nats.sent.filter(({ op }) => op === 'M').map(({ gateway, body }) => [gateway, body])).toEqual([
      [a, expect.stringContaining('snapshot')],
      [b, 'to the new one'],
    ]);
    expect(rig.bridge.counts()).toMatchObject({ sessions: 1, peers: 1, tenants: 1 });
    rig.nats.deliver(b, slot, [end(1)]);
    expect(rig.bridge.counts()).toMatchObject(nothingLeft);
  });

  it('is not moved by a tenant that is not its own', async () => {
    const rig = await startBridge();
    rig.nats.deliver(a, slot, [open(1, infoOf('ann'))]);
    const tenants = Array.from({ length: 5000 }, (_, n) => `other${n}`).filter((name) => slotOf(name, 64) === slot);
    expect(tenants).not.toEqual([]);
    rig.nats.deliver(b, slot, [open(1, infoOf('ann', { tenant: tenants[0]! })), call(1, 1)]);
    expect(outcomeOf(rig, b, 1)).toBe('UNKNOWN');
    rig.nats.deliver(a, slot, [call(1, 1)]);
    await until(() => outcomeOf(rig, a, 1) === 'ok');
  });

  it('that loses its connection is detached at the shards, and hears nothing of topics', async () => {
    const rig = await startBridge();
    rig.nats.deliver(a, slot, [open(1, infoOf('ann')), subscribe(1)]);
    await until(() => rig.nats.told(a).some(({ op }) => op === 'S'));
    rig.nats.deliver(a, slot, [detach(1), detach(1), subscribe(1)]);
    await quiet();
    expect(rig.shards.ops(detached)).toEqual([[detached, 1]]);
    expect(rig.shards.ops(subscribed)).toHaveLength(1);
    expect(rig.bridge.counts()).toMatchObject({ sessions: 1, topics: 0 });
    // Said before the shard heard of it.
    rig.shards.emit(0, (out) => out.add('S', 1, 5, 0, ''));
    expect(rig.bridge.counts().topics).toBe(0);
  });

  it('of a caller over HTTP ends when its last call is answered', async () => {
    const rig = await startBridge();
    rig.nats.deliver(a, slot, [open(1, httpInfo('bot')), call(1, 1, 'hold'), end(1)]);
    await until(() => rig.shards.held.length === 1);
    expect(rig.shards.ops(ended)).toEqual([]);
    rig.shards.release();
    await until(() => rig.shards.ops(ended).length === 1);
    expect(rig.bridge.counts()).toMatchObject(nothingLeft);
  });
});

describe('presence', () => {
  it('makes sessions known to all shards at once, with their subscriptions', async () => {
    const rig = await startBridge({ shards: 2 });
    rig.nats.deliver(a, slot, [open(4, infoOf('ann')), open(5, httpInfo('bot'))], presence);
    rig.nats.deliver(a, slot, [open(6, infoOf('ben')), subscribe(6), present(4, 5, 6)], presence);
    await quiet();
    const told = [0, 1].map((shard) => heard(rig).filter(([of, op]) => of === shard && op === opened));
    expect(told.map((list) => list.map((entry) => entry[2]))).toEqual([
      [1, 3],
      [1, 3],
    ]);
    expect(rig.shards.ops(subscribed)).toEqual([[subscribed, 3, 'counter', 'c1', 'state']]);
    expect(rig.bridge.counts()).toMatchObject({ sessions: 3, peers: 1 });
  });

  it('ends who is not named, of this gateway and slot alone', async () => {
    const rig = await startBridge();
    rig.nats.deliver(a, slot, [open(1, infoOf('ann')), call(1, 1), open(2, infoOf('ben')), call(2, 2)]);
    rig.nats.deliver(b, slot, [open(1, infoOf('cat')), call(1, 1)]);
    rig.nats.deliver(a, slot, [present(1)], presence);
    await until(() => outcomeOf(rig, b, 1) === 'ok');
    expect(rig.shards.ops(ended)).toEqual([[ended, 2]]);
    expect(rig.bridge.counts().sessions).toBe(2);
  });

  it('of a session that is known says anew what it watches, under a new number, and it stays connected', async () => {
    const rig = await startBridge();
    rig.nats.deliver(a, slot, [open(1, infoOf('ann')), subscribe(1, 'c1'), subscribe(1, 'c2')]);
    await until(() => rig.shards.ops(subscribed).length === 2);
    rig.nats.deliver(a, slot, [open(1, infoOf('ann')), subscribe(1, 'c2'), present(1)], presence);
    await quiet();
    expect(heard(rig).slice(3)).toEqual([
      [0, opened, 2],
      [0, subscribed, 2, 'counter', 'c2', 'state'],
    ]);
    const before = rig.nats.sent.length;
    rig.shards.emit(0, (out) => out.add('M', 1, 0, 0, 'on its way to the old number'));
    expect(rig.nats.sent).toHaveLength(before);
    rig.nats.deliver(a, slot, [call(1, 1)]);
    await until(() => outcomeOf(rig, a, 1) === 'ok');
    expect(rig.bridge.counts()).toMatchObject({ sessions: 1, peers: 1, tenants: 1 });
  });

  it('may hold no calls', async () => {
    const rig = await startBridge();
    const frame = rig.nats.deliver(a, slot, [open(1, infoOf('ann')), call(1, 1)], presence);
    expect(frame.buried).toBe('envelope 2 of 2: call is no presence');
    expect(outcomeOf(rig, a, 1)).toBe('UNKNOWN');
    expect(rig.shards.calls).toEqual([]);
  });

  it('of one gateway is newer than what another sent before it of a session that it gave away', async () => {
    const rig = await startBridge();
    rig.nats.deliver(a, slot, [present()], presence);
    rig.nats.deliver(b, slot, [open(5, infoOf('ann')), present(5)], presence);
    rig.nats.deliver(a, slot, [open(1, infoOf('ann')), call(1, 1, 'echo', { key: 'k' })], { ageMs: 9000 });
    expect(outcomeOf(rig, a, 1)).toBe('UNKNOWN');
    rig.nats.deliver(b, slot, [call(5, 2)]);
    await until(() => outcomeOf(rig, b, 2) === 'ok');
    // The client goes there again.
    rig.nats.deliver(a, slot, [open(2, infoOf('ann')), call(2, 3)]);
    await until(() => outcomeOf(rig, a, 3) === 'ok');
    rig.nats.deliver(a, slot, [end(2)]);
    expect(rig.bridge.counts()).toMatchObject(nothingLeft);
  });

  it('is newer than what is found in a queue: a list of sessions there ends none', async () => {
    const rig = await startBridge();
    rig.nats.deliver(a, slot, [open(1, infoOf('ann')), present(1)], presence);
    rig.nats.deliver(a, slot, [present()]);
    expect(rig.bridge.counts().sessions).toBe(1);
  });
});

describe('what a former runtime may have begun with', () => {
  it('opens no session of a client, so that none is left that has ended since', async () => {
    const rig = await startBridge();
    rig.nats.deliver(a, slot, [open(1, infoOf('ann')), call(1, 1, 'echo', { key: 'k' })], former);
    expect(outcomeOf(rig, a, 1)).toBe('UNKNOWN');
    expect(rig.bridge.counts()).toMatchObject(nothingLeft);
  });

  it('opens one of a caller over HTTP, who has no presence', async () => {
    const rig = await startBridge();
    rig.nats.deliver(a, slot, [open(1, httpInfo('bot')), call(1, 1, 'echo', { key: 'k' })], former);
    await until(() => outcomeOf(rig, a, 1) === 'ok');
  });

  it('takes no session from the gateway that has it now, and no subscription back, but ends are final', async () => {
    const rig = await startBridge();
    rig.nats.deliver(b, slot, [open(1, infoOf('ann')), subscribe(1), open(2, infoOf('ben')), present(1, 2)], presence);
    rig.nats.deliver(a, slot, [open(9, infoOf('ann')), call(9, 1, 'echo', { key: 'k' })], former);
    expect(outcomeOf(rig, a, 1)).toBe('UNKNOWN');
    rig.nats.deliver(b, slot, [[inboundOp.unsubscribe, 1, 'counter', 'c1', 'state'], call(1, 1), end(2)], {
      ...former,
      late: true,
    });
    await quiet();
    expect(rig.shards.ops(inboundOp.unsubscribe)).toEqual([]);
    expect(rig.shards.ops(ended)).toEqual([[ended, 2]]);
    rig.nats.deliver(b, slot, [call(1, 2)]);
    await until(() => outcomeOf(rig, b, 2) === 'ok');
  });
});

describe('a gateway that is gone', () => {
  it('takes its sessions of all slots with it; what they had under way is answered to nobody', async () => {
    const rig = await startBridge();
    rig.nats.deliver(a, slot, [open(1, infoOf('ann')), call(1, 1, 'hold'), subscribe(1)]);
    rig.nats.deliver(b, slot, [open(1, infoOf('ben')), call(1, 1)]);
    await until(() => rig.shards.held.length === 1 && outcomeOf(rig, b, 1) === 'ok');
    rig.nats.gone(a);
    await until(() => rig.shards.ops(ended).length === 1);
    expect(rig.bridge.counts()).toMatchObject({ sessions: 1, calls: 1, topics: 0 });
    rig.shards.release();
    rig.nats.gone(b);
    expect(rig.bridge.counts()).toMatchObject(nothingLeft);
  });
});

describe('a slot that another process has now', () => {
  it('is forgotten with its sessions, and shards are told that they leave, not that they end', async () => {
    const rig = await startBridge({ shards: 2 });
    rig.nats.deliver(a, slot, [open(1, infoOf('ann')), present(1)], presence);
    rig.nats.deliver(b, slot, [open(1, httpInfo('bot')), call(1, 1)]);
    await until(() => outcomeOf(rig, b, 1) === 'ok');
    await rig.bridge.releaseSlot(slot);
    rig.bridge.forgetSlot(slot);
    const left = heard(rig).filter(([, op]) => op === leave);
    const [, bot] = rig.shards.calls[0]!;
    const at = rig.shards.all.find(({ envelope }) => envelope[0] === inboundOp.call)!.shard;
    expect(left).toHaveLength(3);
    expect(left).toEqual(
      expect.arrayContaining([
        [0, leave, 1],
        [1, leave, 1],
        [at, leave, bot],
      ]),
    );
    await quiet();
    expect([...rig.shards.ops(ended), ...rig.shards.ops(detached)]).toEqual([]);
    expect(rig.bridge.counts()).toMatchObject({ ...nothingLeft, slots: 0 });
    expect(rig.bridge.takeSessionRecords()).toEqual([]);
  });
});

describe('records of sessions', () => {
  it('tell what became of clients, and nothing of callers over HTTP', async () => {
    const rig = await startBridge();
    const names = ['ann', 'ben', 'cat', 'dan'];
    rig.nats.deliver(
      a,
      slot,
      names.map((name, at) => open(at + 1, infoOf(name))),
      { ageMs: 60_000 },
    );
    rig.nats.deliver(a, slot, [open(9, httpInfo('bot'))]);
    const [first] = rig.bridge.takeSessionRecords();
    expect(first).toMatchObject({ sessionId: 'session-ann', status: 'active', reason: '', boot: 'this-boot' });
    expect(Date.now() - first!.connectedMs).toBeGreaterThanOrEqual(60_000);
    rig.nats.deliver(a, slot, [end(1), detach(2), detach(3), end(3)]);
    const told = () => rig.bridge.takeSessionRecords().map(({ userId, status, reason }) => [userId, status, reason]);
    expect(told()).toEqual([
      ['ann', 'inactive', 'closed'],
      ['ben', 'detached', ''],
      ['cat', 'inactive', 'expired'],
    ]);
    rig.nats.gone(a);
    expect(told()).toEqual([
      ['ben', 'inactive', 'shutdown'],
      ['dan', 'inactive', 'shutdown'],
    ]);
  });
});
