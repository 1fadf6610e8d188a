import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { actor, createApp } from '../../src/index.ts';
import { type Inbound, inboundOp } from '../../src/protocol/envelope.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { shardOf } from '../../src/protocol/placement.ts';
import { a, b, end, infoOf, nothingLeft, open, present, slot, tenant, until } from './rig.ts';
import { RealShards } from './real-shards.ts';

const room = actor({
  state: z.object({ total: z.number().default(0), seen: z.array(z.string()).default([]) }),
  onConnect: ({ state, clientId }) => void state.seen.push(`+${clientId}`),
  onDisconnect: ({ state, clientId }) => void state.seen.push(`-${clientId}`),
  events: { said: z.object({ text: z.string() }) },
  methods: {
    add: { input: z.number(), handler: ({ state, input }) => (state.total += input) },
    say: {
      input: z.object({ to: z.array(z.string()), text: z.string() }),
      handler: ({ emit, input }) => emit('said', { text: input.text }).to(input.to),
    },
    look: { handler: ({ state, clients }) => ({ ...state, clients: [...clients].sort() }) },
  },
});
const app = createApp({ actors: { room } });
const shards = 2;

/** Two rooms, one on each shard. */
const rooms = [0, 1].map((shard) => {
  for (let n = 0; ; n += 1) if (shardOf(tenant, 'room', `r${n}`, shards) === shard) return `r${n}`;
}) as [string, string];

let server: RealShards;
let nextCall = 1;
afterEach(async () => {
  await server.stop();
  server.remove();
});

async function start(dataDir?: string): Promise<void> {
  server = new RealShards(app, shards, dataDir);
  if (dataDir === undefined) await server.bridge.takeSlot(slot, 1);
}

const about = (session: number, method: string, input?: unknown, key = '', id = rooms[0]): Inbound => {
  const call = nextCall++;
  const head = [inboundOp.call, session, call, 'room', id, method, key, -1, 0] as const;
  return input === undefined ? head : [...head, input];
};
const watch = (session: number, id = rooms[0], stream: 'state' | 'event' = 'state'): Inbound => [
  inboundOp.subscribe,
  session,
  'room',
  id,
  stream,
];

/** Says it and waits for the answer: the result, or the code of the error. */
async function ask(gateway: string, envelope: Inbound, more: { doubtful?: boolean } = {}): Promise<unknown> {
  const delivered = server.nats.deliver(gateway, slot, [envelope], more);
  const answer = () =>
    server.nats.told(gateway).find(({ op, a: call }) => (op === 'K' || op === 'E') && call === envelope[2]);
  await until(() => answer() !== undefined);
  expect(delivered.done).toBe(true);
  const { op, body } = answer()!;
  if (op === 'E') return (JSON.parse(body) as { code: string }).code;
  return body === '' ? undefined : (JSON.parse(body) as unknown);
}

const texts = (gateway: string, type: string) =>
  server.nats.told(gateway).filter(({ body }) => body.includes(`"type":"${type}"`));

describe('gateways of two processes and a runtime', () => {
  it('serve clients that call, watch each other and leave', async () => {
    await start();
    server.nats.deliver(a, slot, [open(1, infoOf('ann')), watch(1)]);
    server.nats.deliver(b, slot, [open(1, infoOf('ben')), watch(1), watch(1, rooms[0], 'event'), watch(1, rooms[1])]);
    expect(await ask(a, about(1, 'add', 3))).toBe(3);
    expect(await ask(b, about(1, 'add', 4))).toBe(7);
    // Everybody has a snapshot, and after it each change once, by the topic of the room.
    await until(() => texts(b, 'state:patch').length >= 2);
    const topicOf = (gateway: string) => server.nats.told(gateway).find(({ op }) => op === 'S')!.b;
    expect(topicOf(a)).toBe(topicOf(b));
    expect(texts(a, 'state:patch').filter(({ op, a: topic }) => op === 'P' && topic === topicOf(a))).not.toEqual([]);
    expect(texts(b, 'state:snapshot')).toHaveLength(2);
    await ask(a, about(1, 'say', { to: ['client-ben'], text: 'hi' }));
    expect(texts(b, 'event').map(({ op, body }) => [op, body.startsWith('1;')])).toEqual([['T', true]]);
    expect(texts(a, 'event')).toEqual([]);
    expect(await ask(a, about(1, 'look'))).toMatchObject({
      total: 7,
      seen: ['+client-ann', '+client-ben'],
      clients: ['client-ann', 'client-ben'],
    });
    server.nats.deliver(b, slot, [end(1)]);
    expect(await ask(a, about(1, 'look'))).toMatchObject({ seen: expect.arrayContaining(['-client-ben']) as unknown });
    server.nats.gone(a);
    await server.bridge.settled();
    expect(server.bridge.counts()).toMatchObject(nothingLeft);
  });

  it('run a call with a key once, however often and from where it comes', async () => {
    await start();
    server.nats.deliver(a, slot, [open(1, infoOf('ann'))]);
    server.nats.deliver(b, slot, [open(1, infoOf('ben'))]);
    expect(await ask(a, about(1, 'add', 3, 'k1'))).toBe(3);
    expect(await ask(b, about(1, 'add', 3, 'k1'), { doubtful: true })).toBe(3);
    expect(await ask(b, about(1, 'add', 3), { doubtful: true })).toBe('UNKNOWN');
    expect(await ask(a, about(1, 'look'))).toMatchObject({ total: 3 });
  });

  it('let a client come back through the other gateway without anybody noticing', async () => {
    await start();
    server.nats.deliver(a, slot, [open(1, infoOf('ann')), watch(1)]);
    server.nats.deliver(a, slot, [open(2, infoOf('ben'))]);
    await ask(a, about(1, 'add', 1));
    server.nats.deliver(b, slot, [open(5, infoOf('ann')), watch(5)]);
    expect(await ask(b, about(5, 'look'))).toMatchObject({ seen: ['+client-ann'], clients: ['client-ann'] });
    server.nats.deliver(a, slot, [end(1)]);
    const before = texts(a, 'state:patch').length;
    expect(await ask(a, about(2, 'add', 1))).toBe(2);
    await until(() => texts(b, 'state:patch').length > 0);
    expect(texts(a, 'state:patch')).toHaveLength(before);
    expect(await ask(a, about(2, 'look'))).toMatchObject({ seen: ['+client-ann', '+client-ben'] });
  });

  it('lose nothing that was acknowledged with a shard, and nobody is told goodbye who is there', async () => {
    await start();
    server.nats.deliver(a, slot, [open(1, infoOf('ann')), watch(1)]);
    server.nats.deliver(b, slot, [open(1, infoOf('ben'))]);
    await ask(a, about(1, 'add', 3));
    await ask(b, about(1, 'add', 3, '', rooms[1]));
    const shard = server.nats.told(a).findLast(({ op }) => op === 'S')!;
    await server.crash(0);
    expect(server.nats.told(a)).toContainEqual({ op: 'U', a: 1, b: shard.b, c: 0, body: '' });
    await until(() => texts(a, 'state:snapshot').length === 2);
    expect(await ask(b, about(1, 'look'))).toMatchObject({
      total: 3,
      seen: ['+client-ann', '+client-ben'],
      clients: ['client-ann', 'client-ben'],
    });
  });
});

describe('a runtime that is started again', () => {
  it('hears first who is there, and tells goodbye only to who is not', async () => {
    await start();
    server.nats.deliver(a, slot, [open(1, infoOf('ann')), open(2, infoOf('ben'))]);
    server.nats.deliver(b, slot, [open(1, infoOf('cat'))]);
    for (const session of [1, 2]) await ask(a, about(session, 'add', 1));
    await ask(b, about(1, 'add', 1));
    const { dataDir } = server;
    await server.stop();
    await start(dataDir);
    // Ben has gone meanwhile, and Cat has come back through the other gateway.
    server.nats.onTake = () => {
      server.nats.deliver(a, slot, [open(1, infoOf('ann')), open(3, infoOf('cat')), present(1, 3)], {
        kind: 'presence',
      });
    };
    await server.bridge.takeSlot(slot, 2);
    const seen = ['+client-ann', '+client-ben', '+client-cat', '-client-ben'];
    expect(await ask(a, about(1, 'look'))).toMatchObject({ total: 3, seen, clients: ['client-ann', 'client-cat'] });
  });
});

describe('a slot that goes to another runtime', () => {
  it('takes its sessions along: here nobody is told goodbye, and nothing is written', async () => {
    await start();
    server.nats.deliver(a, slot, [open(1, infoOf('ann')), watch(1)]);
    await ask(a, about(1, 'add', 1));
    await server.bridge.releaseSlot(slot);
    server.bridge.forgetSlot(slot);
    expect(server.bridge.counts()).toMatchObject({ ...nothingLeft, slots: 0 });
    // It comes back, and so does she: she was never away.
    await server.emptyMemory();
    server.nats.onTake = () => {
      server.nats.deliver(a, slot, [open(1, infoOf('ann')), open(2, infoOf('eve')), present(1, 2)], {
        kind: 'presence',
      });
    };
    await server.bridge.takeSlot(slot, 3);
    const before = texts(a, 'state:patch').length;
    expect(await ask(a, about(1, 'look'))).toMatchObject({ total: 1, seen: ['+client-ann'], clients: ['client-ann'] });
    expect(await ask(a, about(2, 'add', 1))).toBe(2);
    // What she watched there was not asked for here.
    expect(texts(a, 'state:patch')).toHaveLength(before);
  });
});

it('a call that waited for long is refused before it reaches a shard', async () => {
  await start();
  server.nats.deliver(a, slot, [open(1, infoOf('ann'))]);
  server.nats.deliver(a, slot, [about(1, 'add', 1)], { ageMs: defaultLimits.queuedCallMsMax + 1 });
  expect(await ask(a, about(1, 'look'))).toMatchObject({ total: 0 });
});
