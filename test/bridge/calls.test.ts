import { describe, expect, it } from 'vitest';
import type { Clock } from '../../src/host/clock.ts';
import { systemClock } from '../../src/host/clock.ts';
import { inboundOp } from '../../src/protocol/envelope.ts';
import {
  a,
  answered,
  b,
  type BridgeRig,
  call,
  end,
  heard,
  httpInfo,
  infoOf,
  nothingLeft,
  open,
  outcomeOf,
  quiet,
  read,
  slot,
  startBridge,
  subscribe,
  tenant,
  until,
} from './rig.ts';

const first = open(1, infoOf('ann'));

/** A rig in which gateway a has opened session 1. */
async function withSession(options: Parameters<typeof startBridge>[0] = {}): Promise<BridgeRig> {
  const rig = await startBridge(options);
  rig.nats.deliver(a, slot, [first]);
  return rig;
}

describe('a call', () => {
  it('is answered under the number of its gateway, and its frame is done only after that', async () => {
    const rig = await startBridge();
    const frame = rig.nats.deliver(a, slot, [first, call(1, 70, 'hold'), call(1, 71)]);
    await until(() => outcomeOf(rig, a, 71) === 'ok');
    expect(frame.done).toBe(false);
    expect(rig.bridge.counts()).toMatchObject({ calls: 1, frames: 1, sessions: 1, peers: 1, tenants: 1 });
    const settled = rig.bridge.settled();
    rig.shards.release('"late"');
    await settled;
    expect(rig.nats.told(a)).toEqual([answered(71), answered(70, '"late"')]);
    expect(rig.nats.steps).toEqual([`send ${a} ${slot}`, `send ${a} ${slot}`, 'done 1']);
    rig.nats.deliver(a, slot, [end(1)]);
    expect(rig.bridge.counts()).toMatchObject(nothingLeft);
  });

  it('and all others that one frame of a shard answers leave as one text, before their frames are done', async () => {
    const rig = await withSession();
    for (const number of [1, 2, 3]) rig.nats.deliver(a, slot, [call(1, number)]);
    await until(() => rig.nats.told(a).length === 3);
    expect(rig.nats.steps).toEqual(['done 1', `send ${a} ${slot}`, 'done 2', 'done 3', 'done 4']);
  });

  it('tells its failure as the shard said it, with its result as it was, and reads with their number', async () => {
    const rig = await withSession();
    rig.nats.deliver(a, slot, [call(1, 1, 'seat'), call(1, 2, 'memory'), read(1, 3)]);
    await until(() => rig.nats.told(a).length === 3);
    const [seat, memory, state] = rig.nats.told(a);
    expect(JSON.parse(seat!.body)).toMatchObject({ code: 'SEAT_TAKEN', message: 'Seat 4 is taken', outcome: 'failed' });
    expect(memory).toEqual({ op: 'K', a: 2, b: 0, c: 0, body: '1' });
    expect(state).toEqual({ op: 'K', a: 3, b: 1, c: 7, body: '{"count":3}' });
  });

  it('of one gateway is not mixed with the equal one of another', async () => {
    const rig = await startBridge();
    rig.nats.deliver(a, slot, [open(1, infoOf('ann')), call(1, 1, 'hold')]);
    rig.nats.deliver(b, slot, [open(1, infoOf('ben')), call(1, 1, 'echo', { input: 'for b' })]);
    await until(() => rig.shards.held.length === 1 && rig.nats.sent.length === 1);
    rig.shards.release('"for a"');
    expect(rig.nats.told(a)).toEqual([answered(1, '"for a"')]);
    expect(rig.nats.told(b)).toEqual([answered(1, '"for b"')]);
    const sessions = rig.shards.calls.map((envelope) => envelope[1]);
    expect(new Set(sessions).size).toBe(2);
  });

  it('of a session that nobody has opened ends unknown and is not run', async () => {
    const rig = await withSession();
    const frame = rig.nats.deliver(b, slot, [call(1, 1), read(9, 2)]);
    expect([outcomeOf(rig, b, 1), outcomeOf(rig, b, 2)]).toEqual(['UNKNOWN', 'UNKNOWN']);
    expect(frame.done).toBe(true);
    await quiet();
    expect(rig.shards.calls).toEqual([]);
  });

  it('past a bound is refused, and its frame is done', async () => {
    const rig = await withSession({ limits: { connectionCallsMax: 2 } });
    const frame = rig.nats.deliver(
      a,
      slot,
      [1, 2, 3].map((number) => call(1, number, 'hold')),
    );
    expect(outcomeOf(rig, a, 3)).toBe('OVERLOADED');
    await until(() => rig.shards.held.length === 2);
    rig.shards.release();
    expect(frame.done).toBe(true);
  });

  it('that is quarantined is refused', async () => {
    const rig = await withSession();
    rig.nats.deliver(a, slot, [call(1, 1, 'hold', { key: 'k' })]);
    await until(() => rig.shards.held.length === 1);
    const running = rig.bridge.shardLost(0, rig.shards.held[0]!.call);
    rig.bridge.setPoison([running!.fingerprint]);
    rig.bridge.shardBack(0);
    rig.nats.deliver(a, slot, [call(1, 2, 'hold', { key: 'k' }), call(1, 3, 'echo', { key: 'k' })]);
    expect(outcomeOf(rig, a, 2)).toBe('QUARANTINED');
    await until(() => outcomeOf(rig, a, 3) === 'ok');
  });
});

describe('a call that may have been run before', () => {
  it('is not run without a key, and ends unknown', async () => {
    const rig = await withSession();
    const frame = rig.nats.deliver(a, slot, [call(1, 1), call(1, 2, 'echo', { key: 'k' }), read(1, 3)], {
      doubtful: true,
      ageMs: 90_000,
    });
    await until(() => outcomeOf(rig, a, 2) === 'ok');
    expect(outcomeOf(rig, a, 1)).toBe('UNKNOWN');
    // A read changes nothing; this one is too old.
    expect(outcomeOf(rig, a, 3)).toBe('OVERLOADED');
    expect(frame.done).toBe(true);
    expect(rig.shards.calls.map((envelope) => envelope[6])).toEqual(['k']);
  });

  it('is never called rejected by somebody who did not look for its outcome', async () => {
    const rig = await withSession({ limits: { connectionCallsMax: 1 } });
    rig.nats.deliver(a, slot, [call(1, 1, 'hold')]);
    const doubtful = { doubtful: true } as const;
    rig.nats.deliver(a, slot, [call(1, 2, 'echo', { key: 'k' })], doubtful);
    expect(outcomeOf(rig, a, 2)).toBe('UNKNOWN');
    await until(() => rig.shards.held.length === 1);
    rig.shards.release();
    rig.nats.deliver(a, slot, [call(1, 3, 'busy', { key: 'k' })], doubtful);
    await until(() => outcomeOf(rig, a, 3) === 'UNKNOWN');
    rig.nats.deliver(a, slot, [call(1, 4, 'busy', { key: 'k' })]);
    await until(() => outcomeOf(rig, a, 4) === 'OVERLOADED');
  });

  it('is not run when its order is lost, whatever it has', async () => {
    const rig = await withSession();
    const frame = rig.nats.deliver(a, slot, [call(1, 1, 'echo', { key: 'k' }), read(1, 2), subscribe(1)], {
      late: true,
    });
    expect([outcomeOf(rig, a, 1), outcomeOf(rig, a, 2)]).toEqual(['UNKNOWN', 'UNKNOWN']);
    expect(frame.done).toBe(true);
    await quiet();
    expect(rig.shards.seen).toEqual([]);
  });

  it('says who made it when its order is lost, for those who may make it again', async () => {
    const rig = await withSession();
    const known = rig.nats.deliver(a, slot, [call(1, 1), call(1, 2)], { late: true });
    expect(JSON.parse(`[${known.callers}]`)).toEqual([[inboundOp.open, 1, expect.objectContaining({ tenant })]]);
    const opened = rig.nats.deliver(a, slot, [open(7, httpInfo('ben')), call(7, 3), read(1, 4)], { late: true });
    expect(opened.callers).toBe('');
    const unknown = rig.nats.deliver(a, slot, [call(9, 5)], { late: true });
    expect(unknown.callers).toBe('');
    const inTime = rig.nats.deliver(a, slot, [call(1, 6)]);
    expect(inTime.callers).toBe('');
  });
});

describe('a call that has waited', () => {
  it('has so much less time left', async () => {
    const rig = await withSession();
    rig.nats.deliver(a, slot, [call(1, 1, 'echo', { deadlineMs: 5000 })], { ageMs: 1999.5 });
    await until(() => outcomeOf(rig, a, 1) === 'ok');
    expect(rig.shards.calls[0]![8]).toBe(3001);
  });

  it('past its deadline is not started; with a key the shard looks whether it was before', async () => {
    const rig = await withSession();
    const late = { deadlineMs: 100 };
    rig.nats.deliver(a, slot, [call(1, 1, 'echo', late), call(1, 2, 'echo', { ...late, key: 'k' })], { ageMs: 100 });
    expect(outcomeOf(rig, a, 1)).toBe('DEADLINE');
    await until(() => outcomeOf(rig, a, 2) === 'ok');
    expect(rig.shards.calls.map((envelope) => [envelope[6], envelope[8]])).toEqual([['k', -1]]);
  });

  it('for too long without a deadline is refused as overloaded', async () => {
    const rig = await withSession({ limits: { queuedCallMsMax: 1000 } });
    rig.nats.deliver(a, slot, [call(1, 1), call(1, 2, 'echo', { deadlineMs: 5000 })], { ageMs: 1001 });
    rig.nats.deliver(a, slot, [call(1, 3)], { ageMs: 1000 });
    expect(outcomeOf(rig, a, 1)).toBe('OVERLOADED');
    await until(() => outcomeOf(rig, a, 2) === 'ok' && outcomeOf(rig, a, 3) === 'ok');
  });
});

describe('a frame', () => {
  it('without calls is done as soon as the shards have what it says', async () => {
    const rig = await withSession();
    const frame = rig.nats.deliver(a, slot, [subscribe(1)]);
    expect(frame.done).toBe(true);
    expect(heard(rig).map(([, op]) => op)).toEqual([inboundOp.open, inboundOp.subscribe]);
    expect(rig.nats.deliver(a, slot, []).done).toBe(true);
  });

  it('is done but for what is illegal in it, and is put aside when all is answered', async () => {
    const rig = await withSession();
    const nobody = open(2, infoOf('eve', { tenant: '../up' }));
    const said = [open(3, infoOf('ben')), call(1, 5, 'hold'), [99, 1], call(3, 6, 'a b'), nobody, call(2, 7)];
    const frame = rig.nats.deliver(a, slot, JSON.stringify([...said, read(3, 8), subscribe(3)]));
    await until(() => outcomeOf(rig, a, 8) === 'ok' && rig.shards.held.length === 1);
    expect([6, 7].map((number) => outcomeOf(rig, a, number))).toEqual(['UNKNOWN', 'UNKNOWN']);
    expect(frame).toMatchObject({ done: false, buried: undefined });
    rig.shards.release();
    await until(() => outcomeOf(rig, a, 5) === 'ok');
    expect(frame).toMatchObject({ done: false, buried: 'envelope 3 of 8: its operation is unknown' });
    expect(rig.nats.steps.slice(-2)).toEqual([`send ${a} ${slot}`, 'bury 2']);
    expect(rig.shards.ops(inboundOp.subscribe)).toHaveLength(1);
    // The others' sessions are known from here on; the one that was not opened stays unknown.
    rig.nats.deliver(a, slot, [call(3, 9), call(2, 10)]);
    await until(() => outcomeOf(rig, a, 9) === 'ok');
    expect(outcomeOf(rig, a, 10)).toBe('UNKNOWN');
    rig.nats.deliver(a, slot, [end(1), end(3)]);
    expect(rig.bridge.counts()).toMatchObject(nothingLeft);
  });

  it('that is no list of envelopes is put aside', async () => {
    const rig = await withSession();
    expect(rig.nats.deliver(b, slot, 'no JSON').buried).toBe('the frame is no JSON');
    expect(rig.bridge.counts()).toMatchObject({ sessions: 1, calls: 0, frames: 0, peers: 1 });
  });

  it('of a slot that is not taken is left alone', async () => {
    const rig = await startBridge();
    const other = rig.nats.deliver(a, slot + 1, [end(1)]);
    expect(other).toMatchObject({ done: false, buried: undefined });
  });

  it('of a tenant of another slot is refused', async () => {
    const rig = await startBridge();
    const stranger = rig.nats.deliver(a, slot, [open(1, infoOf('eve', { tenant: 'another' })), call(1, 1)]);
    expect(stranger.buried).toContain('tenant another is not in slot');
    expect(rig.bridge.counts()).toMatchObject(nothingLeft);
  });
});

describe('the bridge', () => {
  it('releases a slot when the last answer of it is out, and takes no more of it', async () => {
    const rig = await withSession();
    rig.nats.deliver(a, slot, [call(1, 1, 'hold')]);
    await until(() => rig.shards.held.length === 1);
    let released = false;
    const release = rig.bridge.stopTaking().then(() => (released = true));
    await quiet();
    expect(released).toBe(false);
    rig.shards.release();
    await release;
    expect(rig.bridge.counts()).toMatchObject({ slots: 0, calls: 0, sessions: 1 });
    expect(rig.nats.deliver(a, slot, [call(1, 2)]).done).toBe(false);
    await rig.bridge.close();
    await rig.bridge.close();
    expect(rig.nats.closed).toBe(true);
    // Sessions live on at their gateways.
    expect(rig.shards.ops(inboundOp.end)).toEqual([]);
  });

  it('counts calls by what became of them', async () => {
    let nowMs = 1000;
    const clock: Clock = { ...systemClock, monotonic: () => nowMs };
    const rig = await withSession({ clock });
    rig.nats.deliver(a, slot, [
      call(1, 1),
      call(1, 2, 'fail'),
      call(1, 3, 'hold'),
      open(2, httpInfo('bot')),
      call(2, 4),
    ]);
    nowMs += 250;
    await until(() => rig.nats.told(a).length === 3);
    const [inFlight, total, duration] = rig.bridge.samples();
    expect(inFlight).toMatchObject({ name: 'fermata_calls_in_flight', values: [{ value: 1 }] });
    const byOutcome = total!.values.map(({ labels, value }) => [labels['outcome'], value]);
    expect(byOutcome).toEqual([
      ['ok', 2],
      ['failed', 1],
      ['rejected', 0],
      ['unknown', 0],
    ]);
    expect(duration!.values.at(-2)).toMatchObject({ value: 0.75 });
    expect(rig.bridge.samples()).toHaveLength(3);
  });
});
