import { describe, expect, it } from 'vitest';
import { subjects } from '../../src/transport/nats-names.ts';
import { pieces, writeAnswer, writeBeat, writeLost } from '../../src/transport/nats-wire.ts';
import { until } from './contract.ts';
import { sharedRig } from './nats-rig.ts';

const rig = sharedRig();
/** Each test has a slot of its own. */
let slot = 0;

describe('answers over NATS', () => {
  it('of any size arrive whole, and long frames are parted', async () => {
    slot += 1;
    const gateway = await rig().gateway();
    const runtime = await rig().runtime();
    runtime.answering = false;
    await runtime.link.take(slot, 1);
    const words = Array.from({ length: 64 }, (_, n) => `${n}${'ü'.repeat(20_000)}`);
    gateway.link.send(slot, JSON.stringify(words));
    await until(() => runtime.calls.flatMap(({ text }) => JSON.parse(text)).length === 64);
    expect(runtime.calls.length).toBeGreaterThan(1);
    expect(runtime.calls.flatMap(({ text }) => JSON.parse(text))).toEqual(words);
    const records = '😀ü'.repeat(1024 * 1024);
    runtime.link.send(gateway.key, slot, records);
    runtime.link.send(gateway.key, slot, 'next');
    await until(() => gateway.answers.length === 2);
    expect(gateway.answers[0] === records).toBe(true);
    expect(gateway.answers[1]).toBe('next');
  });

  it('of a stale owner are dropped', async () => {
    slot += 1;
    const gateway = await rig().gateway();
    const runtime = await rig().runtime();
    await runtime.link.take(slot, 2);
    await until(() => gateway.turnovers.length === 1);
    const stale = { kind: 'answer', slot, epoch: 1, seq: 1, piece: pieces.whole } as const;
    runtime.nc.publish(subjects.out(gateway.key), writeAnswer(stale, 'stale'));
    runtime.link.send(gateway.key, slot, 'good');
    await until(() => gateway.answers.length === 1);
    expect(gateway.answers).toEqual(['good']);
  });

  it('that are lost are noticed by the sync: what waits ends, and everybody goes on', async () => {
    slot += 1;
    const gateway = await rig().gateway();
    const runtime = await rig().runtime();
    runtime.answering = false;
    await runtime.link.take(slot, 1);
    gateway.send(slot, 'a');
    await until(() => runtime.words.length === 1);
    // A number that never leaves.
    const { publish } = runtime.nc;
    runtime.nc.publish = () => {};
    runtime.answer(runtime.calls[0]!);
    runtime.nc.publish = publish;
    await until(() => gateway.lost.length === 1 && gateway.turnovers.length === 2);
    gateway.send(slot, 'b');
    await until(() => runtime.words.includes('b'));
    runtime.answer(runtime.calls.at(-1)!);
    await until(() => gateway.answers.includes('re b'));
  });

  it('go on although a presence was lost', async () => {
    slot += 1;
    const gateway = await rig().gateway();
    const runtime = await rig().runtime();
    await runtime.link.take(slot, 1);
    await until(() => gateway.turnovers.length === 1);
    // The next presence never leaves.
    const { publish } = gateway.nc;
    gateway.nc.publish = () => {};
    runtime.nc.publish(subjects.out(gateway.key), writeLost(slot, 1, 1));
    await until(() => gateway.turnovers.length === 2);
    gateway.nc.publish = publish;
    gateway.send(slot, 'a');
    await until(() => gateway.answers.length === 1);
    expect(runtime.words).toEqual(['a']);
    expect(gateway.turnovers.length).toBe(3);
  });

  it('go on beside messages that are nonsense', async () => {
    slot += 1;
    const gateway = await rig().gateway();
    const runtime = await rig().runtime();
    await runtime.link.take(slot, 1);
    for (const subject of [subjects.out(gateway.key), subjects.hello, subjects.beat])
      runtime.nc.publish(subject, 'x y z\n\n');
    runtime.nc.publish(subjects.beat, writeBeat({ gateway: 'NO KEY', closing: true }));
    runtime.nc.publish(`${subjects.acks(gateway.key)}.99-x`, '{');
    gateway.send(slot, 'a');
    await until(() => gateway.answers.length === 1);
    expect(gateway.link.numbers().malformed).toBe(2);
    await until(() => runtime.link.numbers().unreadable === 3);
  });
});
