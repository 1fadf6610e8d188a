import { describe, expect, it } from 'vitest';
import { openBridge } from '../../src/bridge/bridge.ts';
import { systemClock } from '../../src/host/clock.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { FakeShards } from '../gateway/fake-shards.ts';
import { FakeSlotLink } from './fake-slot-link.ts';
import {
  a,
  type BridgeRig,
  call,
  end,
  infoOf,
  nothingLeft,
  open,
  outcomeOf,
  present,
  quiet,
  read,
  silent,
  slot,
  until,
} from './rig.ts';

/** A bridge whose slot is not marked yet. */
function unmarked(): BridgeRig {
  const [nats, shards] = [new FakeSlotLink(), new FakeShards()];
  const parts = { limits: defaultLimits, log: silent, clock: systemClock, boot: 'this-boot', holds: true };
  return { nats, shards, bridge: openBridge({ slotLink: nats, link: shards, ...parts }) };
}

describe('a slot that is not known to hold data', () => {
  it('is asked for with its first session, and what came until it is marked is run then, in order', async () => {
    const rig = unmarked();
    await rig.bridge.takeSlot(slot, 1);
    // Nothing of this can leave anything on disk.
    expect(rig.nats.deliver(a, slot, [present(), end(1), call(1, 9)]).done).toBe(true);
    expect(outcomeOf(rig, a, 9)).toBe('UNKNOWN');
    const next = rig.bridge.gate.next();
    rig.nats.deliver(a, slot, [open(1, infoOf('ann')), call(1, 1)]);
    rig.nats.deliver(a, slot, [call(1, 2)]);
    rig.nats.deliver(a, slot, [end(1)]);
    expect(await next).toBe(slot);
    await quiet();
    expect(rig.shards.all).toEqual([]);
    rig.bridge.gate.open(slot);
    await until(() => outcomeOf(rig, a, 1) === 'ok' && outcomeOf(rig, a, 2) === 'ok');
    expect(rig.shards.calls.map((envelope) => envelope[9])).toEqual(['x', 'x']);
    rig.nats.deliver(a, slot, [open(2, infoOf('ben')), call(2, 3)]);
    await until(() => outcomeOf(rig, a, 3) === 'ok');
  });

  it('is asked for however the opening is written, and not for what only looks like one', async () => {
    for (const [head, isHeld] of [
      ['[ [0 ,', true],
      ['[[1,9],\n[-0,', true],
      ['[[0e1,', true],
      ['[[1,9],[1,"[[0,",', false],
    ] as const) {
      const rig = unmarked();
      await rig.bridge.takeSlot(slot, 1);
      const frame = rig.nats.deliver(
        a,
        slot,
        `${head}1,${JSON.stringify(infoOf('ann'))}],${JSON.stringify(call(1, 1))}]`,
      );
      await quiet();
      expect([head, rig.shards.all.length, frame.done || frame.buried !== undefined]).toEqual([head, 0, !isHeld]);
      await rig.bridge.close();
    }
  });

  it('is asked for again when it could not be marked, as long as it matters', async () => {
    const rig = unmarked();
    await rig.bridge.takeSlot(slot, 1);
    rig.bridge.gate.again(slot);
    rig.nats.deliver(a, slot, [open(1, infoOf('ann')), call(1, 1)]);
    expect(await rig.bridge.gate.next()).toBe(slot);
    const next = rig.bridge.gate.next();
    rig.bridge.gate.again(slot);
    expect(await next).toBe(slot);
    rig.bridge.gate.open(slot);
    await until(() => outcomeOf(rig, a, 1) === 'ok');
  });

  it('is taken when it is marked and who is there is known', async () => {
    const rig = unmarked();
    rig.nats.onTake = () => {
      rig.nats.deliver(a, slot, [open(1, infoOf('ann')), present(1)], { kind: 'presence' });
    };
    let taken = false;
    const taking = rig.bridge.takeSlot(slot, 1).then(() => (taken = true));
    expect(await rig.bridge.gate.next()).toBe(slot);
    await quiet();
    expect(taken).toBe(false);
    rig.bridge.gate.open(slot);
    await taking;
    expect(rig.bridge.counts().sessions).toBe(1);
  });

  it('and is given up has begun with nothing: its calls are refused, and it is asked for anew when it is back', async () => {
    const rig = unmarked();
    await rig.bridge.takeSlot(slot, 1);
    const frame = rig.nats.deliver(a, slot, [open(1, infoOf('ann')), call(1, 1), read(1, 2)]);
    const doubtful = rig.nats.deliver(a, slot, [call(1, 3, 'echo', { key: 'k' })], { doubtful: true });
    const illegal = rig.nats.deliver(a, slot, 'no JSON');
    expect(await rig.bridge.gate.next()).toBe(slot);
    await rig.bridge.releaseSlot(slot);
    expect([1, 2, 3].map((number) => outcomeOf(rig, a, number))).toEqual(['OVERLOADED', 'OVERLOADED', 'UNKNOWN']);
    expect([frame.done, doubtful.done, illegal.buried]).toEqual([true, true, 'the frame is no JSON']);
    rig.bridge.gate.open(slot);
    expect(rig.bridge.counts()).toMatchObject({ ...nothingLeft, slots: 0 });
    await rig.bridge.takeSlot(slot, 2);
    rig.nats.deliver(a, slot, [open(1, infoOf('ann')), call(1, 4)]);
    expect(await rig.bridge.gate.next()).toBe(slot);
    rig.bridge.gate.open(slot);
    await until(() => outcomeOf(rig, a, 4) === 'ok');
    expect(rig.shards.calls).toHaveLength(1);
  });
});
