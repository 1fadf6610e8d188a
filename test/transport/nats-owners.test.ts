import { describe, expect, it } from 'vitest';
import { gapMs, silenceMs, unpresentedMs } from '../../src/transport/nats-bounds.ts';
import { consumerName, streams, subjects } from '../../src/transport/nats-names.ts';
import { writeCalls } from '../../src/transport/nats-wire.ts';
import { until } from './contract.ts';
import { newKey, sharedRig, skippingClock, wordOf } from './nats-rig.ts';

const rig = sharedRig();
/** Each test has a slot of its own. */
let slot = 0;

async function consumers(): Promise<string[]> {
  const manager = await (await rig().connection()).jetstreamManager();
  const names: string[] = [];
  for await (const { name } of manager.consumers.list(streams.calls)) names.push(name);
  return names;
}

describe('owners of a slot over NATS', () => {
  it('hear who is there before they hear a call', async () => {
    slot += 1;
    const gateway = await rig().gateway();
    const runtime = await rig().runtime();
    gateway.send(slot, 'early');
    await runtime.link.take(slot, 1);
    await until(() => gateway.answers.length === 1);
    expect(runtime.frames.map(({ kind }) => kind)).toEqual(['presence', 'calls']);
    expect(gateway.turnovers).toEqual([slot]);
    expect(gateway.link.unackedFrames).toBe(0);
  });

  it('find what waited while nobody served, in order and without doubt', async () => {
    slot += 1;
    const gateway = await rig().gateway();
    const words = Array.from({ length: 500 }, (_, n) => `${n}`);
    for (const word of words) gateway.send(slot, word);
    await until(() => gateway.link.unackedFrames === 0);
    const runtime = await rig().runtime();
    await runtime.link.take(slot, 1);
    await until(() => gateway.answers.length === words.length);
    expect(runtime.words).toEqual(words);
    expect(runtime.calls.some(({ doubtful, late }) => doubtful || late)).toBe(false);
    expect(runtime.calls.every(({ ageMs }) => ageMs >= 0)).toBe(true);
    await until(() => runtime.link.numbers().bytesInHand === 0);
    expect(await runtime.link.lag()).toEqual({ frames: 0 });
  });

  it('hand over cleanly: nothing is in doubt, and the consumer goes', async () => {
    slot += 1;
    const gateway = await rig().gateway();
    const first = await rig().runtime();
    const second = await rig().runtime();
    await first.link.take(slot, 1);
    let sent = 0;
    const sending = setInterval(() => gateway.send(slot, `${(sent += 1)}`), 1);
    await until(() => first.words.length >= 50);
    await first.link.release(slot);
    expect(await consumers()).not.toContain(consumerName(slot, 1));
    const until1 = first.words.length;
    await second.link.take(slot, 2);
    await until(() => second.words.length >= 50);
    clearInterval(sending);
    await until(() => gateway.answers.length === sent);
    expect(first.words.length).toBe(until1);
    expect([...first.words, ...second.words]).toEqual(Array.from({ length: sent }, (_, n) => `${n + 1}`));
    expect(second.calls.some(({ doubtful, late }) => doubtful || late)).toBe(false);
    expect(gateway.lost).toEqual([]);
  });

  it('wait in a release for what they have in hand', async () => {
    slot += 1;
    const gateway = await rig().gateway();
    const runtime = await rig().runtime();
    runtime.answering = false;
    await runtime.link.take(slot, 1);
    gateway.send(slot, 'a');
    await until(() => runtime.words.length === 1);
    let released = false;
    const releasing = runtime.link.release(slot).then(() => (released = true));
    gateway.send(slot, 'b');
    await until(() => gateway.link.unackedFrames === 0);
    expect(released).toBe(false);
    runtime.answer(runtime.calls[0]!);
    await releasing;
    await until(() => gateway.answers.length === 1);
    expect(runtime.words).toEqual(['a']);
    const successor = await rig().runtime();
    await successor.link.take(slot, 2);
    await until(() => successor.words.length === 1);
    expect(successor.calls.map((frame) => [wordOf(frame), frame.doubtful])).toEqual([['b', false]]);
  });

  it('that died leave doubt: order is kept, and what they say later means nothing', async () => {
    slot += 1;
    const gateway = await rig().gateway();
    const first = await rig().runtime();
    first.answering = false;
    await first.link.take(slot, 1);
    for (const word of ['a', 'b', 'c']) gateway.send(slot, word);
    await until(() => first.words.length === 3);
    const second = await rig().runtime();
    second.answering = false;
    await second.link.take(slot, 2);
    gateway.send(slot, 'd');
    await until(() => second.words.length === 4);
    expect(second.words).toEqual(['a', 'b', 'c', 'd']);
    expect(second.calls.map(({ doubtful }) => doubtful)).toEqual([true, true, true, false]);
    for (const frame of first.calls) first.answer(frame);
    await first.nc.flush();
    expect((await second.link.lag()).frames).toBe(4);
    for (const frame of second.calls) second.answer(frame);
    await until(() => gateway.answers.length === 4);
    expect(gateway.answers).toEqual(['re a', 're b', 're c', 're d']);
    expect(gateway.lost).toEqual([]);
  });

  it('cannot take what is served under a higher epoch', async () => {
    slot += 1;
    const runtime = await rig().runtime();
    const stale = await rig().runtime();
    await runtime.link.take(slot, 3);
    await expect(stale.link.take(slot, 2)).rejects.toThrow(`slot ${slot} is served under epoch 3; 2 is over`);
    await runtime.link.release(slot);
    await runtime.link.take(slot, 4);
    await expect(runtime.link.take(slot, 5)).rejects.toThrow('taken already');
  });

  it('put a frame aside that five of them died with, and answer its calls', async () => {
    slot += 1;
    const gateway = await rig().gateway();
    gateway.send(slot, 'deadly');
    for (let epoch = 1; epoch <= 5; epoch += 1) {
      const victim = await rig().runtime();
      victim.answering = false;
      await victim.link.take(slot, epoch);
      await until(() => victim.words.length === 1);
      expect(victim.words).toEqual(['deadly']);
      await victim.nc.close();
    }
    gateway.send(slot, 'next');
    const runtime = await rig().runtime();
    await runtime.link.take(slot, 6);
    // What it opens and subscribes to is missing: nothing builds on it, and the gateway says anew who is there.
    await until(() => gateway.lost.length === 1);
    gateway.send(slot, 'anew');
    await until(() => gateway.answers.includes('re anew'));
    expect(runtime.words).toEqual(['deadly late', 'next late', 'anew']);
    expect(gateway.lost).toEqual([slot]);
    // Acknowledged only when its letter is stored.
    await until(() => runtime.link.numbers().bytesInHand === 0);
    const manager = await (await rig().connection()).jetstreamManager();
    const letter = await manager.streams.getMessage(streams.dead, { last_by_subj: subjects.dead(slot) });
    expect(letter.header.get('Fermata-Reason')).toBe('5 owners of the slot died with it');
    expect(letter.header.get('Fermata-Kind')).toBe('undone');
    expect(letter.header.get('Fermata-Gateway')).toBe(gateway.key);
    expect(runtime.link.numbers().deadLetters).toBe(1);
  });

  it('bury what the receiver cannot handle, and what cannot be read', async () => {
    slot += 1;
    const gateway = await rig().gateway();
    const runtime = await rig().runtime();
    runtime.answering = false;
    await runtime.link.take(slot, 1);
    gateway.nc.publish(subjects.calls(slot), 'nonsense');
    gateway.send(slot, 'odd');
    await until(() => runtime.words.length === 1);
    runtime.calls[0]!.bury('no such\nthing');
    await until(() => runtime.link.numbers().bytesInHand === 0 && runtime.link.numbers().deadLetters === 2);
    const manager = await gateway.nc.jetstreamManager();
    const letter = await manager.streams.getMessage(streams.dead, { last_by_subj: subjects.dead(slot) });
    expect(letter.header.get('Fermata-Reason')).toBe('no such thing');
    expect(letter.header.get('Fermata-Kind')).toBe('illegal');
    await until(() => runtime.link.numbers().malformed === 1);
    await runtime.link.release(slot);
    expect(await consumers()).not.toContain(consumerName(slot, 1));
  });

  it('learn of gateways that go: at once when they close, after ten seconds of silence otherwise', async () => {
    slot += 1;
    const { clock, skip } = skippingClock();
    const closing = await rig().gateway();
    const dying = await rig().gateway();
    const staying = await rig().gateway();
    const runtime = await rig().runtime(clock);
    await runtime.link.take(slot, 1);
    await until(() => runtime.frames.length === 3);
    closing.link.close();
    await until(() => runtime.gone.length === 1);
    await dying.nc.close();
    // Time goes faster, but not by leaps: those would be a standstill of the runtime.
    const hurry = setInterval(() => skip(silenceMs / 50), 200);
    await until(() => runtime.link.numbers().gateways === 1, 30_000);
    clearInterval(hurry);
    expect(runtime.gone).toEqual([closing.key, dying.key]);
    staying.send(slot, 'still here');
    await until(() => staying.answers.length === 1);
  });

  it('present late what comes of a gateway that does not present itself', async () => {
    slot += 1;
    const { clock, skip } = skippingClock();
    const runtime = await rig().runtime(clock);
    await runtime.link.take(slot, 1);
    const nc = await rig().connection();
    const header = { gateway: newKey('silent'), link: 1, seq: 1, sentAtMs: Date.now(), sends: 0, epoch: 1 };
    nc.publish(subjects.calls(slot), writeCalls(header, '["a"]'));
    await until(() => runtime.link.numbers().held === 1);
    skip(unpresentedMs);
    await until(() => runtime.words.length === 1);
    expect(runtime.words).toEqual(['a late']);
    await until(() => runtime.link.numbers().bytesInHand === 0);
  });

  it('tell a gateway whose frames are missing; it ends what waits and begins anew', async () => {
    slot += 1;
    const { clock, skip } = skippingClock();
    const gateway = await rig().gateway();
    const runtime = await rig().runtime(clock);
    await runtime.link.take(slot, 1);
    gateway.send(slot, 'a');
    await until(() => gateway.answers.length === 1);
    const header = { gateway: gateway.key, link: 1, sentAtMs: Date.now(), sends: 0, epoch: 1 };
    gateway.nc.publish(subjects.calls(slot), writeCalls({ ...header, seq: 3 }, '["c"]'));
    await until(() => runtime.link.numbers().held === 1);
    skip(gapMs);
    await until(() => gateway.lost.length === 1 && gateway.turnovers.length === 2);
    gateway.send(slot, 'd');
    await until(() => gateway.answers.includes('re d'));
    expect(runtime.words).toEqual(['a', 'c late', 'd']);
  });

  it('deliver doubled and swapped frames once, in order, and forget the copies', async () => {
    slot += 1;
    const gateway = await rig().gateway();
    const runtime = await rig().runtime();
    await runtime.link.take(slot, 1);
    gateway.send(slot, '1');
    await until(() => gateway.answers.length === 1);
    const header = { gateway: gateway.key, link: 1, sentAtMs: Date.now(), sends: 0, epoch: 1 };
    for (const seq of [4, 3, 3, 2, 1, 4]) {
      gateway.nc.publish(subjects.calls(slot), writeCalls({ ...header, seq }, `["${seq}"]`));
    }
    await until(() => gateway.answers.length === 4);
    expect(runtime.words).toEqual(['1', '2', '3', '4']);
    await until(() => runtime.link.numbers().bytesInHand === 0);
    await gateway.nc.flush();
    await untilLag(runtime.link.lag.bind(runtime.link), 0);
  });

  it('of a resent frame cannot know whether an owner before them ran it', async () => {
    slot += 1;
    const gateway = await rig().gateway();
    const runtime = await rig().runtime();
    await runtime.link.take(slot, 5);
    await until(() => gateway.turnovers.length === 1);
    const header = { gateway: gateway.key, link: 1, sentAtMs: Date.now() };
    const nc = await rig().connection();
    nc.publish(subjects.calls(slot), writeCalls({ ...header, seq: 1, sends: 1, epoch: 4 }, '["a"]'));
    nc.publish(subjects.calls(slot), writeCalls({ ...header, seq: 2, sends: 1, epoch: 5 }, '["b"]'));
    await until(() => runtime.words.length === 2);
    expect(runtime.calls.map(({ doubtful }) => doubtful)).toEqual([true, false]);
  });
});

async function untilLag(lag: () => Promise<{ frames: number }>, frames: number): Promise<void> {
  let now = -1;
  const asking = setInterval(() => void lag().then((told) => (now = told.frames)), 20);
  try {
    await until(() => now === frames);
  } finally {
    clearInterval(asking);
  }
}
