/** Frames that must not run: nothing is built on them, nobody waits for them, and their gateways begin anew. */
import { describe, expect, it } from 'vitest';
import { decodeOutbound, inboundOp } from '../../src/protocol/envelope.ts';
import { deliveriesMax, gapMs, inHandMax, silenceMs, unpresentedMs } from '../../src/transport/nats-bounds.ts';
import { consumerName, streams, subjects } from '../../src/transport/nats-names.ts';
import { noDoubt } from '../../src/transport/nats-doubt.ts';
import { NatsSlotConsumers } from '../../src/transport/nats-slot-consumers.ts';
import { readOut, writeCalls, writeLost } from '../../src/transport/nats-wire.ts';
import { until } from './contract.ts';
import { NatsRig, sharedRig, skippingClock, type TestGateway } from './nats-rig.ts';

const rig = sharedRig();
/** Each test has a slot of its own. */
let slot = 0;

/** As its gateway would, after it was sent so often. */
function publish(gateway: TestGateway, seq: number, word: string, sends = 0): void {
  const header = { gateway: gateway.key, link: 1, seq, sentAtMs: Date.now(), sends, epoch: 1 };
  gateway.nc.publish(subjects.calls(slot), writeCalls(header, JSON.stringify([word])));
}

describe('links over NATS that are broken', () => {
  it('are those whose first frame comes after its turn', async () => {
    slot += 1;
    const gateway = await rig().gateway();
    const runtime = await rig().runtime();
    await runtime.link.take(slot, 1);
    await until(() => gateway.turnovers.length === 1);
    publish(gateway, 2, 'second');
    publish(gateway, 1, 'first');
    await until(() => gateway.lost.length === 1 && gateway.turnovers.length === 2);
    gateway.send(slot, 'anew');
    await until(() => gateway.answers.includes('re anew'));
    expect(runtime.words).toEqual(['second', 'first late', 'anew']);
    expect(gateway.lost).toEqual([slot]);
    await until(() => runtime.link.numbers().bytesInHand === 0);
  });

  it('keep the letter of a frame that owners died with, should the last one die before it was stored', async () => {
    slot += 1;
    const gateway = await rig().gateway();
    gateway.send(slot, 'deadly');
    for (let epoch = 1; epoch <= deliveriesMax; epoch += 1) {
      const victim = await rig().runtime();
      victim.answering = false;
      await victim.link.take(slot, epoch);
      await until(() => victim.words.length === 1);
      await victim.nc.close();
    }
    gateway.nc.publish(subjects.out(gateway.key), writeLost(slot, deliveriesMax, 1));
    await until(() => gateway.lost.length === 1);
    const runtime = await rig().runtime();
    await runtime.link.take(slot, deliveriesMax + 1);
    gateway.send(slot, 'anew');
    await until(() => gateway.answers.includes('re anew'));
    await until(() => runtime.link.numbers().bytesInHand === 0 && runtime.link.numbers().deadLetters === 1);
    expect(runtime.words).toEqual(['anew']);
    expect(gateway.lost).toEqual([slot]);
    const manager = await gateway.nc.jetstreamManager();
    const letter = await manager.streams.getMessage(streams.dead, { last_by_subj: subjects.dead(slot) });
    expect(letter.header.get('Fermata-Gateway')).toBe(gateway.key);
  });

  it('are those of gateways that are gone: their frames wait once, and then hold up nobody', async () => {
    slot += 1;
    const { clock, skip } = skippingClock();
    const dead = await rig().gateway();
    const frames = inHandMax * 4;
    for (let n = 0; n < frames; n += 1) dead.send(slot, `${n}`);
    await until(() => dead.link.unackedFrames === 0);
    dead.link.close();
    await dead.nc.close();
    const live = await rig().gateway();
    live.send(slot, 'live');
    await until(() => live.link.unackedFrames === 0);
    const runtime = await rig().runtime(clock);
    await runtime.link.take(slot, 1);
    await until(() => runtime.link.numbers().held === inHandMax);
    skip(unpresentedMs);
    await until(() => live.answers.includes('re live'));
    expect(runtime.words.filter((word) => word.endsWith(' late'))).toHaveLength(frames);
    expect(live.lost).toEqual([]);
  });
});

describe('an owner that was killed', () => {
  it('leaves nothing to wait for, even when its gateway sends again what is not acknowledged', async () => {
    slot += 1;
    const gateway = await rig().gateway();
    const first = await rig().runtime();
    first.answering = false;
    await first.link.take(slot, 1);
    for (const word of ['slow', 'b', 'c']) gateway.send(slot, word);
    await until(() => first.words.length === 3);
    for (const frame of first.calls.slice(1)) first.answer(frame);
    await first.nc.flush();
    await first.nc.close();
    publish(gateway, 4, 'd', 1);
    const second = await rig().runtime();
    await second.link.take(slot, 2);
    await until(() => second.words.length === 2, gapMs / 2);
    publish(gateway, 5, 'e');
    await until(() => second.words.length === 3, gapMs / 2);
    expect(second.words).toEqual(['slow', 'd', 'e']);
    expect(gateway.lost).toEqual([]);
  });

  it('that came back while its slot was being taken is doubted as any other', async () => {
    slot += 1;
    const gateway = await rig().gateway();
    const nc = await rig().connection();
    const consumers = new NatsSlotConsumers(nc);
    await consumers.create(slot, 1, noDoubt(''));
    gateway.send(slot, 'a');
    const came: number[] = [];
    nc.subscribe('came', { callback: (_, { data }) => void came.push(data.length) });
    const pull = `$JS.API.CONSUMER.MSG.NEXT.${streams.calls}.${consumerName(slot, 1)}`;
    nc.publish(pull, JSON.stringify({ batch: 1, expires: 5e9 }), { reply: 'came' });
    await until(() => came.length === 1);
    expect((await consumers.create(slot, 2, noDoubt(''))).upTo).toBeGreaterThan(0);
    await consumers.remove(slot, 2);
  });
});

describe('a runtime', () => {
  it('that is asked twice to release a slot tells both when it is done', async () => {
    slot += 1;
    const gateway = await rig().gateway();
    const runtime = await rig().runtime();
    runtime.answering = false;
    await runtime.link.take(slot, 1);
    gateway.send(slot, 'slow');
    await until(() => runtime.words.length === 1);
    const released: number[] = [];
    for (const asked of [1, 2]) void runtime.link.release(slot).then(() => released.push(asked));
    runtime.answer(runtime.calls[0]!);
    await until(() => released.length === 2);
  });

  it('that stood still takes nobody for gone before it has listened', async () => {
    slot += 1;
    const { clock, skip } = skippingClock();
    const gateway = await rig().gateway();
    const quiet = await rig().gateway();
    const runtime = await rig().runtime(clock);
    await runtime.link.take(slot, 1);
    await until(() => gateway.turnovers.length === 1 && quiet.turnovers.length === 1);
    await quiet.nc.close();
    let syncs = 0;
    const nc = await rig().connection();
    nc.subscribe(subjects.out(gateway.key), {
      callback: (_, { data }) => (syncs += readOut(data)?.kind === 'sync' ? 1 : 0),
    });
    await nc.flush();
    skip(silenceMs + 1);
    // One may have been under way; by the other it has counted who is silent.
    await until(() => syncs >= 2);
    expect(runtime.gone).toEqual([]);
  });
});

describe('a call that fits into no message', () => {
  it('is refused alone', async () => {
    const small = await NatsRig.start({ config: 'max_payload: 8192' });
    try {
      const gateway = await small.gateway();
      const runtime = await small.runtime();
      await runtime.link.take(1, 1);
      await until(() => gateway.turnovers.length === 1);
      const call = (number: number, chars: number) => [
        inboundOp.call,
        1,
        number,
        'a',
        'b',
        'c',
        '',
        -1,
        0,
        'x'.repeat(chars),
      ];
      gateway.link.send(1, JSON.stringify([call(1, 10), call(2, 9000), call(3, 10)]));
      await until(() => gateway.answers.length === 3);
      const refused: unknown[] = [];
      for (const records of gateway.answers.filter((answer) => answer.startsWith('E')))
        decodeOutbound(records, (op, number, _b, _c, body) => refused.push([op, number, JSON.parse(body).code]));
      expect(refused).toEqual([['E', 2, 'TOO_LARGE']]);
      expect(runtime.calls.map(({ text }) => JSON.parse(text)[0][2])).toEqual([1, 3]);
      expect(gateway.lost).toEqual([]);
    } finally {
      await small.close();
    }
  });
});
