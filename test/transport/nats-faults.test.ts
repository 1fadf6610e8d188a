import type { NatsConnection } from 'nats';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { giveUpFactor, slotFramesMax } from '../../src/transport/nats-bounds.ts';
import { consumerName, streams } from '../../src/transport/nats-names.ts';
import { type NatsHealth, natsHealth } from '../../src/transport/nats-health.ts';
import { until } from './contract.ts';
import { NatsRig, type TestGateway, type TestRuntime } from './nats-rig.ts';

let rig: NatsRig;

beforeEach(async () => {
  rig = await NatsRig.start();
});

afterEach(() => rig.close());

/** Numbers, one per millisecond, to two slots, until it is told to end. */
function traffic(gateway: TestGateway) {
  const sent = [0, 0];
  const timer = setInterval(() => {
    for (const slot of [0, 1]) if (gateway.link.accepts(slot)) gateway.send(slot, `${slot}:${(sent[slot]! += 1)}`);
  }, 1);
  return { sent, end: () => clearInterval(timer) };
}

/** Nothing twice, nothing out of order. Late frames may come at any time: they are not run. */
function expectOrder(runtime: TestRuntime): void {
  for (const slot of [0, 1]) {
    const ran = runtime.words.filter((word) => word.startsWith(`${slot}:`) && !word.endsWith('late'));
    const numbers = ran.map((word) => Number(word.slice(2)));
    expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
  }
}

async function servedTwoSlots(): Promise<{ gateway: TestGateway; runtime: TestRuntime }> {
  const gateway = await rig.gateway();
  const runtime = await rig.runtime();
  await Promise.all([runtime.link.take(0, 1), runtime.link.take(1, 1)]);
  return { gateway, runtime };
}

/** Every frame was answered, or its slot was told as lost; and service goes on. */
async function settled(gateway: TestGateway, sent: number[]): Promise<void> {
  const losses = (slot: number): number => gateway.lost.filter((lost) => lost === slot).length;
  for (const slot of [0, 1]) {
    // One that goes down with a link that is given up is not answered; the next one is.
    for (let isAnswered = false; !isAnswered; ) {
      const before = losses(slot);
      sent[slot]! += 1;
      const answer = `re ${slot}:${sent[slot]}`;
      gateway.send(slot, answer.slice(3));
      await until(() => gateway.answers.includes(answer) || losses(slot) > before, 20_000);
      isAnswered = gateway.answers.includes(answer);
    }
    const answered = gateway.answers.filter((answer) => answer.startsWith(`re ${slot}:`)).length;
    if (losses(slot) === 0) expect(answered).toBe(sent[slot]);
  }
  expect(new Set(gateway.answers).size).toBe(gateway.answers.length);
}

describe('the transport over NATS, when NATS fails', () => {
  it('survives a server that is killed under traffic and comes back', async () => {
    const { gateway, runtime } = await servedTwoSlots();
    const { sent, end } = traffic(gateway);
    for (let round = 1; round <= 3; round += 1) {
      const before = gateway.answers.length;
      await until(() => gateway.answers.length > before + 50);
      await rig.server.down(round === 2 ? 'SIGTERM' : 'SIGKILL');
      const waiting = gateway.link.unackedFrames;
      await until(() => gateway.link.unackedFrames > waiting + 50);
      await rig.server.up();
    }
    const before = gateway.answers.length;
    await until(() => gateway.answers.length > before + 50, 20_000);
    end();
    await settled(gateway, sent);
    expectOrder(runtime);
    await until(() => gateway.link.unackedFrames === 0 && runtime.link.numbers().bytesInHand === 0);
  });

  it('holds what waits within bounds while there is no server, and lets nothing pile up in the library', async () => {
    const { gateway, runtime } = await servedTwoSlots();
    await rig.server.down();
    await until(() => gateway.nc.info === undefined);
    const { outBytes } = gateway.nc.stats();
    for (let n = 0; n < slotFramesMax * giveUpFactor + 10; n += 1) gateway.send(0, 'x'.repeat(100));
    expect(gateway.link.accepts(0)).toBe(false);
    expect(gateway.link.accepts(1)).toBe(true);
    await until(() => gateway.lost.length === 1);
    expect(gateway.link.unackedFrames).toBe(0);
    expect(gateway.nc.stats().outBytes).toBe(outBytes);
    gateway.send(0, 'after');
    await rig.server.up();
    await until(() => gateway.answers.includes('re after'), 20_000);
    expect(runtime.words).toEqual(['after']);
  });

  it('refuses calls while the stream is full, and loses none', async () => {
    const nc = await rig.connection();
    const manager = await nc.jetstreamManager();
    const { config } = await manager.streams.info(streams.calls);
    await manager.streams.update(streams.calls, { ...config, max_msgs_per_subject: 50 });
    const gateway = await rig.gateway();
    const words: string[] = [];
    while (gateway.link.accepts(0)) {
      words.push(`${words.length}`);
      gateway.send(0, words.at(-1)!);
    }
    await until(() => gateway.link.numbers().refusals > 0 && gateway.link.unackedFrames === words.length - 50);
    expect(gateway.link.accepts(0)).toBe(true);
    const runtime = await rig.runtime();
    await runtime.link.take(0, 1);
    await until(() => gateway.answers.length === words.length, 20_000);
    expect(runtime.words).toEqual(words);
    expect(gateway.lost).toEqual([]);
  });

  it('makes a consumer again that was deleted, under the same epoch', async () => {
    const { gateway, runtime } = await servedTwoSlots();
    gateway.send(0, '0:1');
    await until(() => gateway.answers.length === 1);
    runtime.answering = false;
    gateway.send(0, '0:2');
    await until(() => runtime.words.length === 2);
    const manager = await (await rig.connection()).jetstreamManager();
    // A server that is just writing the consumer's state complains of its folder, and deletes it all the same.
    await manager.consumers.delete(streams.calls, consumerName(0, 1)).catch(() => undefined);
    gateway.send(0, '0:3');
    await until(() => runtime.words.length === 3);
    for (const frame of runtime.calls.slice(1)) runtime.answer(frame);
    await until(() => gateway.answers.length === 3);
    expectOrder(runtime);
    await until(() => runtime.link.numbers().bytesInHand === 0);
    await runtime.link.release(0);
    expect(gateway.lost).toEqual([]);
  });

  it('makes the streams again when they vanish; what waits is told as lost', async () => {
    const { gateway, runtime } = await servedTwoSlots();
    runtime.answering = false;
    gateway.send(0, '0:1');
    await until(() => runtime.words.length === 1);
    const manager = await (await rig.connection()).jetstreamManager();
    await manager.streams.delete(streams.dead);
    await manager.streams.delete(streams.calls);
    await until(() => gateway.lost.includes(0) && gateway.lost.includes(1), 20_000);
    runtime.answer(runtime.calls[0]!);
    runtime.answering = true;
    gateway.send(0, '0:2');
    gateway.send(1, '1:1');
    await until(() => gateway.answers.includes('re 0:2') && gateway.answers.includes('re 1:1'), 20_000);
    expectOrder(runtime);
    expect((await manager.streams.info(streams.dead)).config.name).toBe(streams.dead);
  });

  it('survives a server that stands still for a while', async () => {
    const { gateway, runtime } = await servedTwoSlots();
    const { sent, end } = traffic(gateway);
    await until(() => gateway.answers.length > 50);
    rig.server.freeze();
    // The client's pings go unanswered, and it lets go of the connection.
    await until(() => gateway.nc.info === undefined, 20_000);
    rig.server.thaw();
    const before = gateway.answers.length;
    await until(() => gateway.answers.length > before + 100, 20_000);
    end();
    await settled(gateway, sent);
    expectOrder(runtime);
  });

  it('reports its health', async () => {
    const nc = await rig.connection();
    expect(await natsHealth(nc)).toEqual({ ok: true });
    rig.server.freeze();
    // The signal may take a moment.
    expect(await sick(nc)).toEqual({ ok: false, reason: 'JetStream does not answer' });
    rig.server.thaw();
    await rig.server.down();
    await until(() => nc.info === undefined);
    expect(await natsHealth(nc)).toEqual({ ok: false, reason: 'no connection to NATS' });
    await nc.close();
    expect(await natsHealth(nc)).toEqual({ ok: false, reason: 'the connection to NATS is closed' });
  });
});

async function sick(nc: NatsConnection): Promise<NatsHealth> {
  for (;;) {
    const health = await natsHealth(nc, 200);
    if (!health.ok) return health;
  }
}
