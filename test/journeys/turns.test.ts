/** What a turn does and says, and in which order. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BaseClient, Frame } from '../support/base-client.ts';
import { getState } from '../support/http.ts';
import { type PatchOp, patched } from '../support/stock-patches.ts';
import type { ServerProcess } from '../support/server.ts';
import { Stage } from '../support/stage.ts';
import { mint } from '../support/token.ts';

const stage = new Stage();
afterAll(() => stage.end());

let server: ServerProcess;
let ada: BaseClient;
let bob: BaseClient;

beforeAll(async () => {
  server = await stage.serve({ app: 'probe', args: ['--shards', '2', '--limit', 'turnMs=300'] });
  ada = await stage.connect(server, { sub: 'ada' });
  bob = await stage.connect(server, { sub: 'bob', v1: true });
});

function names(frames: readonly Frame[]): string[] {
  return frames.map((frame) => (frame.type === 'event' ? `event ${String(frame['event'])}` : frame.type));
}

async function stateOf(actor: string, id: string): Promise<Record<string, unknown>> {
  return (await getState(server.address, actor, id, { token: await mint() })).json();
}

test('a call is heard as patch, events in emit order, result', async () => {
  await ada.subscribe('probe', 't1');
  ada.send({ type: 'event:sub', actor: 'probe', actorId: 't1' });
  await ada.settled('probe', 't1');
  const from = ada.frames.length;
  await ada.rpc('probe', 't1', 'announce', 5);
  expect(ada.frames.slice(from)).toEqual([
    { type: 'state:patch', actor: 'probe', actorId: 't1', patches: [{ op: 'replace', path: '/value', value: 5 }] },
    { type: 'event', actor: 'probe', actorId: 't1', event: 'changed', payload: { to: 5 } },
    { type: 'event', actor: 'probe', actorId: 't1', event: 'said', payload: 'it is 5' },
    { type: 'rpc:result', id: expect.any(String), result: 5 },
  ]);
});

test('the first frame is the welcome, and a base client is told nothing but the base set', () => {
  expect(ada.frames[0]).toEqual({ type: 'welcome', clientId: expect.any(String) });
  expect(bob.frames[0]).toMatchObject({ type: 'welcome', server: 'fermata', limits: { connectionCallsMax: 1024 } });
});

test('a result that is undefined is left out', async () => {
  expect(await ada.call({ actor: 'probe', actorId: 't2', method: 'nothing', id: 'n' })).toEqual({
    type: 'rpc:result',
    id: 'n',
  });
});

test('a turn that changes nothing sends no patch', async () => {
  await ada.subscribe('probe', 't2');
  const from = ada.frames.length;
  await ada.rpc('probe', 't2', 'set', 0);
  await ada.rpc('probe', 't2', 'nothing');
  expect(names(ada.frames.slice(from))).toEqual(['rpc:result', 'rpc:result']);
});

test('the snapshot holds what onConnect wrote, and no patch comes before it', async () => {
  const carl = await stage.connect(server, { sub: 'carl' });
  const dora = await stage.connect(server, { sub: 'dora' });
  // Others keep changing the actor meanwhile.
  const busy = Promise.all(Array.from({ length: 50 }, () => bob.rpc('visited', 'hall', 'who')));
  const newcomers = [carl, dora].map(async (client) => {
    const snapshot = (await client.subscribe('visited', 'hall')) as { visitors: string[] };
    expect(snapshot.visitors).toContain(client.clientId);
    return client;
  });
  await Promise.all([busy, ...newcomers]);
  for (const client of [carl, dora]) {
    const about = names(client.frames).filter((name) => name.startsWith('state:'));
    expect(about[0]).toBe('state:snapshot');
  }
});

test('a second subscription sends the snapshot again, and patches still come once', async () => {
  await ada.subscribe('probe', 't3');
  expect(await ada.subscribe('probe', 't3')).toMatchObject({ value: 0 });
  const from = ada.frames.length;
  await ada.rpc('probe', 't3', 'set', 1);
  expect(names(ada.frames.slice(from))).toEqual(['state:patch', 'rpc:result']);
});

test('after the end of a subscription nothing more comes', async () => {
  await ada.subscribe('probe', 't4');
  ada.send({ type: 'event:sub', actor: 'probe', actorId: 't4' });
  ada.send({ type: 'state:unsub', actor: 'probe', actorId: 't4' });
  ada.send({ type: 'event:unsub', actor: 'probe', actorId: 't4' });
  await ada.settled('probe', 't4');
  const from = ada.frames.length;
  await bob.rpc('probe', 't4', 'announce', 9);
  expect(await ada.settled('probe', 't4', from)).toEqual([]);
});

test('events go to all, to some, and to all but some, of those who subscribed', async () => {
  const carl = await stage.connect(server, { sub: 'carl' });
  const deaf = await stage.connect(server, { sub: 'deaf' });
  await deaf.rpc('probe', 'crowd', 'nothing');
  const crowd = [ada, bob, carl];
  for (const client of crowd) {
    client.send({ type: 'event:sub', actor: 'probe', actorId: 'crowd' });
    await client.settled('probe', 'crowd');
  }
  const starts = [...crowd, deaf].map((client) => client.frames.length);
  const whisper = (text: string, target: object): Promise<unknown> =>
    bob.rpc('probe', 'crowd', 'whisper', { text, ...target });
  await whisper('all', {});
  await whisper('to carl', { to: [carl.clientId] });
  await whisper('to two, one deaf', { to: [ada.clientId, deaf.clientId, 'nobody'] });
  await whisper('all but bob', { except: bob.clientId });
  const heard = [];
  for (const [n, client] of [...crowd, deaf].entries()) {
    const frames = await client.settled('probe', 'crowd', starts[n]);
    heard.push(frames.filter(({ type }) => type === 'event').map((frame) => frame['payload']));
  }
  expect(heard).toEqual([['all', 'to two, one deaf', 'all but bob'], ['all'], ['all', 'to carl', 'all but bob'], []]);
});

test.each(['undeclared', 'undeclaredCaught', 'badPayload', 'changeAndThrow', 'changeAwaitAndThrow', 'notJson'])(
  'a turn that fails (%s) changes nothing and sends nothing',
  async (method) => {
    const id = `fail-${method}`;
    await ada.subscribe('probe', id);
    ada.send({ type: 'event:sub', actor: 'probe', actorId: id });
    await ada.settled('probe', id);
    const from = ada.frames.length;
    await expect(bob.rpc('probe', id, method)).rejects.toThrow(/./);
    expect(await ada.settled('probe', id, from)).toEqual([]);
    expect(await stateOf('probe', id)).toMatchObject({ value: 0 });
  },
);

test('drafts may be returned, alone and inside of other things', async () => {
  for (let n = 0; n < 3; n += 1) await ada.rpc('probe', 'drafts', 'grow');
  const result = (await ada.rpc('probe', 'drafts', 'grow')) as { items: unknown; last: unknown; whole: unknown };
  const items = [{ n: 0 }, { n: 1 }, { n: 2 }, { n: 3 }];
  expect(result).toEqual({ items, last: { n: 3 }, whole: { value: 0, items, log: [] } });
});

test('patches bring a stock client from the first snapshot to the same state', async () => {
  let state = await ada.subscribe('probe', 'patched');
  const from = ada.frames.length;
  for (const method of ['grow', 'grow', 'shuffle', 'grow', 'shuffle', 'grow'])
    await bob.rpc('probe', 'patched', method);
  await bob.rpc('probe', 'patched', 'later', 3);
  for (const frame of await ada.settled('probe', 'patched', from)) {
    if (frame.type === 'state:patch') state = patched(state, frame['patches'] as PatchOp[]);
  }
  expect(state).toEqual(await stateOf('probe', 'patched'));
  expect(state).toMatchObject({ value: 3 });
});

describe('calls of one connection to one actor', () => {
  test('start in the order in which they were sent, sync and async ones alike', async () => {
    const numbers = Array.from({ length: 1000 }, (_, n) => n);
    const from = bob.frames.length;
    const lengths = await Promise.all(numbers.map((n) => bob.rpc('probe', 'fifo', 'noteAnyhow', n)));
    expect(lengths).toEqual(numbers.map((n) => n + 1));
    expect(((await stateOf('probe', 'fifo')) as { log: number[] }).log).toEqual(numbers);
    const results = bob.frames.slice(from).map((frame) => frame['result']);
    expect(results).toEqual(lengths);
  });

  test('do not hold up those to another actor', async () => {
    const slow = ada.call({ actor: 'probe', actorId: 'slow', method: 'linger', input: 200, id: 'slow' });
    await ada.rpc('probe', 'fast', 'set', 1);
    expect(ada.frames.some((frame) => frame['id'] === 'slow')).toBe(false);
    expect(await slow).toMatchObject({ result: 'too late' });
  });
});

describe('a turn over its time', () => {
  test('ends failed, lets the next call in, and cannot write afterwards', async () => {
    const late = bob.call({ actor: 'probe', actorId: 'late', method: 'linger', input: 600 });
    const next = bob.call({ actor: 'probe', actorId: 'late', method: 'announce', input: 1 });
    expect(await late).toMatchObject({
      outcome: 'failed',
      code: 'TURN_TIMEOUT',
      error: expect.stringContaining('300 ms'),
    });
    expect(await next).toMatchObject({ outcome: 'ok', result: 1 });
    // Three more turns' time, by the same server's clock: the handler has come to its late write by then.
    for (let n = 0; n < 3; n += 1) await bob.rpc('probe', 'elsewhere', 'linger', 200);
    expect(await stateOf('probe', 'late')).toMatchObject({ value: 1 });
  });

  test('cannot write with a draft that it kept', async () => {
    expect(await bob.rpc('probe', 'kept', 'lingerBehind', 20)).toBe('gone on');
    await bob.rpc('probe', 'elsewhere', 'linger', 100);
    expect(await stateOf('probe', 'kept')).toMatchObject({ value: 0 });
    expect(await bob.rpc('probe', 'kept', 'announce', 2)).toBe(2);
  });
});

describe('hooks', () => {
  test('run once each: onActivate first, onConnect once per connection, onDisconnect at its end', async () => {
    const eve = await stage.connect(server, { sub: 'eve' });
    await bob.subscribe('visited', 'door');
    bob.send({ type: 'event:sub', actor: 'visited', actorId: 'door' });
    await bob.settled('visited', 'door');
    const from = bob.frames.length;
    await eve.rpc('visited', 'door', 'who');
    await eve.rpc('visited', 'door', 'who');
    await eve.subscribe('visited', 'door');
    expect(await stateOf('visited', 'door')).toEqual({
      activations: 1,
      visitors: [bob.clientId, eve.clientId],
      present: [bob.clientId, eve.clientId],
    });
    await eve.close();
    await bob.until((frame) => frame['event'] === 'left' && frame['payload'] === eve.clientId, from);
    expect(await stateOf('visited', 'door')).toMatchObject({ present: [bob.clientId] });
    expect(await bob.rpc('visited', 'door', 'who')).toEqual([bob.clientId]);
  });

  test('that throw change nothing, and the call goes on', async () => {
    const eve = await stage.connect(server, { sub: 'eve' });
    expect(await eve.rpc('touchy', 't', 'call')).toBe(1);
    expect(await eve.subscribe('touchy', 't')).toEqual({ calls: 1, hooks: 0 });
    await eve.close();
    for (const hook of ['onActivate', 'onConnect', 'onDisconnect']) {
      await server.logged(({ what, actor }) => what === hook && actor === 'touchy');
    }
    expect(await bob.rpc('touchy', 't', 'call')).toBe(2);
  });

  test('an HTTP caller joins no actor', async () => {
    await stateOf('visited', 'quiet');
    expect(await stateOf('visited', 'quiet')).toMatchObject({ visitors: [], present: [] });
  });
});
