/**
 * What stock clients hear when something is wrong. They compare these texts letter by letter, and a call that is not
 * answered hangs until its time is up.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TestServer } from '../../src/testing/serve.ts';
import { app } from '../support/apps/stock.ts';
import { getState } from '../support/http.ts';
import type { StockClient } from '../support/stock-client.ts';
import { settled, StockStage } from '../support/stock-stage.ts';
import type { Frame } from '../support/stock-watch.ts';
import { eventually } from '../support/wait.ts';

const stage = new StockStage();
let server: TestServer;
let client: StockClient;
beforeAll(async () => {
  server = stage.serve(app);
  client = await stage.connect(server.url);
});
afterAll(() => stage.end());

async function errorOf(actor: string, method: string, input?: unknown, actorId = 'e1'): Promise<string> {
  const error: unknown = await client
    .actor(actor, actorId)
    .call(method, input)
    .then(
      () => new Error('it succeeded'),
      (reason: unknown) => reason,
    );
  return (error as Error).message;
}

/** Inherited by every object, or illegal as a name: all of them unknown. */
const strange = [
  'constructor',
  '__proto__',
  'toString',
  'hasOwnProperty',
  'valueOf',
  '__defineGetter__',
  '',
  'a b',
  'ü',
];

test.each(['nope', 'Room', 'room ', 'x'.repeat(200), ...strange])('the actor "%s" is unknown', async (actor) => {
  expect(await errorOf(actor, 'nothing')).toBe(`Unknown actor: ${actor}`);
});

test.each(['nope', 'Say', 'onConnect', 'then', 'state', 'on', 'meta', 'x'.repeat(200), ...strange])(
  'the method "%s" is unknown',
  async (method) => {
    expect(await errorOf('room', method)).toBe(`Unknown method: ${method}`);
  },
);

test('input that the schema refuses is told with all issues as JSON', async () => {
  const message = await errorOf('faulty', 'strict', { amount: 'much' });
  const head = 'Validation failed for strict: ';
  expect(message.slice(0, head.length)).toBe(head);
  expect(JSON.parse(message.slice(head.length))).toEqual([
    expect.objectContaining({ path: ['amount'], message: expect.stringContaining('number') }),
    expect.objectContaining({ path: ['name'], message: expect.stringContaining('string') }),
  ]);
  expect(await errorOf('faulty', 'strict')).toMatch(/^Validation failed for strict: \[\{.*\}\]$/);
  expect(await errorOf('faulty', 'strict', null)).toMatch(/^Validation failed for strict: \[\{.*\}\]$/);
});

const heard = {
  message: 'The room is "full"',
  async: 'not today',
  empty: 'Error',
  text: 'Unknown error',
  nothing: 'Unknown error',
  object: 'Unknown error',
};

test.each(Object.entries(heard))('a handler that throws (%s) is heard as "%s"', async (how, message) => {
  expect(await errorOf('faulty', 'fail', how)).toBe(message);
});

test.each(['not JSON', 'undeclared', 'payload'])(
  'a mistake of the author (%s) is an internal error with an id, another one each time',
  async (how) => {
    const messages = [await errorOf('faulty', 'fail', how), await errorOf('faulty', 'fail', how)];
    for (const message of messages) expect(message).toMatch(/^Internal error [\w-]{6,}$/);
    expect(messages[0]).not.toBe(messages[1]);
  },
);

test.each([...Object.keys(heard), 'not JSON', 'undeclared', 'payload'])(
  'a turn that fails (%s) changes nothing and is seen by nobody',
  async (how) => {
    const id = `quiet ${how}`;
    const watcher = await stage.connect(server.url);
    const faulty = watcher.actor('faulty', id);
    faulty.on('happened', () => {});
    faulty.subscribe();
    await settled(faulty);
    const from = watcher.frames.length;
    await errorOf('faulty', 'fail', how, id);
    await settled(faulty);
    expect(watcher.frames.slice(from).map(({ type }) => type)).toEqual(['rpc:result']);
    expect((await getState(server.url, 'faulty', id)).json()).toEqual({ count: 0 });
  },
);

describe('a malformed call gets exactly one result', () => {
  const good = { type: 'rpc', actor: 'room', actorId: 'm1', method: 'nothing' };
  const wrong: Record<string, unknown> = {
    'no actor': { actor: undefined },
    'an actor that is a number': { actor: 7 },
    'an actor that is an object': { actor: { toString: 1 } },
    'an actor that is a list': { actor: ['room'] },
    'no actorId': { actorId: undefined },
    'an empty actorId': { actorId: '' },
    'an actorId that is null': { actorId: null },
    'an actorId of 257 characters': { actorId: 'x'.repeat(257) },
    'an actorId with a line break': { actorId: 'a\nb' },
    'no method': { method: undefined },
    'a method that is a list': { method: ['nothing'] },
    'an id that is a number': { id: 12 },
    'an id that is a fraction': { id: 1.5 },
    'an id that is null': { id: null },
    'an id that is an object': { id: { a: 1 } },
    'no id': { id: undefined },
  };

  test.each(Object.entries(wrong))('(%s)', async (name, fields) => {
    const watched = await stage.connect(server.url);
    watched.sendRaw({ ...good, id: name, ...(fields as object) });
    // The watch knows under which id the answer is due, and that there is only one.
    await eventually('an answer', () => watched.unanswered.length === 0);
    await settled(watched.actor('room', 'm1'));
    const results = watched.frames.filter(({ type }) => type === 'rpc:result');
    expect(results).toHaveLength(2);
    expect(results[0]).toEqual({ type: 'rpc:result', id: results[0]!['id'], error: expect.stringMatching(/\w/) });
  });

  test('(input that is nested too deeply)', async () => {
    const watched = await stage.connect(server.url);
    const input = `${'['.repeat(100)}${']'.repeat(100)}`;
    watched.sendRaw(`{"type":"rpc","id":"deep","actor":"room","actorId":"m1","method":"echo","input":${input}}`);
    await eventually('an answer', () => watched.unanswered.length === 0);
    expect(watched.frames.at(-1)).toMatchObject({ id: 'deep', error: expect.stringMatching(/\w/) });
  });

  test('(input with the key __proto__)', async () => {
    const watched = await stage.connect(server.url);
    watched.sendRaw(
      '{"type":"rpc","id":"proto","actor":"room","actorId":"m1","method":"echo","input":{"__proto__":{"admin":true}}}',
    );
    await eventually('an answer', () => watched.unanswered.length === 0);
    expect(watched.frames.at(-1)).toMatchObject({ type: 'rpc:result', id: 'proto' });
    expect(JSON.stringify(watched.frames.at(-1))).not.toContain('admin');
  });
});

test('a call past a bound gets a result as well', async () => {
  const strict = stage.serve(app, { limits: { connectionCallsMax: 2 } });
  const hasty = await stage.connect(strict.url);
  const answers = await Promise.allSettled(
    Array.from({ length: 6 }, () => hasty.actor('room', 'slow').call('saySlowly', 20)),
  );
  expect(answers.map(({ status }) => status)).toEqual([
    'fulfilled',
    'fulfilled',
    'rejected',
    'rejected',
    'rejected',
    'rejected',
  ]);
  expect(hasty.unanswered).toEqual([]);
});

test('frames of an unknown type are ignored', async () => {
  const watched = await stage.connect(server.url);
  for (const type of ['future:thing', 'constructor', '__proto__', 'rpc:result', 'welcome', '', 42, null, undefined])
    watched.sendRaw({ type, actor: 'room', actorId: 'u1', id: 'x', clientId: 'me' });
  await settled(watched.actor('room', 'u1'));
  expect(watched.frames.map(({ type }) => type)).toEqual(['welcome', 'rpc:result']);
});

test.each(['hello', 'ping', 'auth'])('%s, a frame of the additions, is an unknown type here', async (type) => {
  const watched = stage.client(server.url);
  await eventually('open', () => watched.connected);
  watched.sendRaw({ type, resumeToken: 'none', token: 'none' });
  watched.sendRaw({ type, resumeToken: 'none', token: await server.token() });
  await settled(watched.actor('room', 'u1'));
  expect(watched.frames.map((frame) => frame['type'])).toEqual(['welcome', 'rpc:result']);
});

test('unknown fields are ignored', async () => {
  const watched = await stage.connect(server.url);
  const extra = { traceparent: 7, future: { deep: [] }, constructor: 1, toString: 2 };
  watched.sendRaw({ type: 'state:sub', actor: 'room', actorId: 'u2', ...extra });
  watched.sendRaw({ type: 'event:sub', actor: 'room', actorId: 'u2', ...extra });
  watched.sendRaw({ type: 'rpc', id: 'x', actor: 'room', actorId: 'u2', method: 'say', input: 'hi', ...extra });
  await eventually('the answer', () => watched.unanswered.length === 0);
  expect(watched.frames.map((frame) => frame['type'])).toEqual([
    'welcome',
    'state:snapshot',
    'state:patch',
    'event',
    'event',
    'rpc:result',
  ]);
});

test('subscriptions that cannot be are ignored without a word', async () => {
  const watched = await stage.connect(server.url);
  const wrong: Frame[] = [
    ...['nope', ...strange].map((actor) => ({ actor, actorId: 'x' })),
    { actor: 'room' },
    { actor: 'room', actorId: '' },
    { actor: 'room', actorId: 7 },
    { actorId: 'x' },
    // A room where this client may not look.
    { actor: 'vault', actorId: 'x' },
  ];
  for (const address of wrong) {
    for (const type of ['state:sub', 'event:sub', 'state:unsub', 'event:unsub']) watched.sendRaw({ type, ...address });
  }
  await settled(watched.actor('room', 'u3'));
  expect(watched.frames.map(({ type }) => type)).toEqual(['welcome', 'rpc:result']);
});

test('to leave what one never joined does nothing', async () => {
  const watched = await stage.connect(server.url);
  const room = watched.actor('room', 'u4');
  for (const type of ['state:unsub', 'event:unsub']) watched.sendRaw({ type, actor: 'room', actorId: 'u4' });
  await settled(room);
  expect(watched.frames.map(({ type }) => type)).toEqual(['welcome', 'rpc:result']);
});

test('no answer shows a stack, a path or SQL', () => {
  expect(JSON.stringify(client.frames)).not.toMatch(/\bat \S+ \(|file:\/\/|\.ts:|SELECT|INSERT|node_modules/);
});

describe('middleware', () => {
  test('that throws is heard with its own message, and the handler does not run', async () => {
    const nobody = await stage.connect(server.url);
    await expect(nobody.actor('vault', 'ada').call('open')).rejects.toThrow(/^Unauthorized$/);
    const bob = await stage.connect(server.url, { token: await server.token({ sub: 'bob' }) });
    await expect(bob.actor('vault', 'ada').call('open')).rejects.toThrow(/^Forbidden$/);
    const token = await server.token({ sub: 'ada' });
    expect((await getState(server.url, 'vault', 'ada', { token })).json()).toEqual({ opened: 0 });
  });

  test('lets through whom it knows, with what it gathered', async () => {
    const ada = await stage.connect(server.url, { token: await server.token({ sub: 'ada' }) });
    const vault = ada.actor('vault', 'ada');
    vault.subscribe();
    expect(await vault.call('open')).toBe('owner ada');
    expect(vault.state).toEqual({ opened: 1 });
  });
});
