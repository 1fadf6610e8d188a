/** What clients are told when something is wrong: the texts that base clients compare, and the codes of the additions. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BaseClient, Reply } from '../support/base-client.ts';
import { getState, post } from '../support/http.ts';
import type { ServerProcess } from '../support/server.ts';
import { Stage } from '../support/stage.ts';
import { mint } from '../support/token.ts';

const stage = new Stage();
afterAll(() => stage.end());

let server: ServerProcess;
let base: BaseClient;
let v1: BaseClient;
let token: string;

beforeAll(async () => {
  server = await stage.serve({ app: 'probe' });
  base = await stage.connect(server);
  v1 = await stage.connect(server, { v1: true });
  token = await mint();
});

interface Wrong {
  readonly actor?: string;
  readonly method?: string;
  readonly input?: unknown;
}

/** The same call over all three wires. */
async function ask({
  actor = 'probe',
  method = 'set',
  input,
}: Wrong): Promise<{ text: string; rich: Reply; http: number }> {
  const call = { actor, actorId: 'e1', method, ...(input === undefined ? {} : { input }) };
  const reply = await base.call(call);
  expect(Object.keys(reply).sort()).toEqual(['error', 'id', 'type']);
  const rich = await v1.call(call);
  const answer = await post(server.address, [actor, 'e1', method], {
    token,
    ...(input === undefined ? {} : { input }),
  });
  const { code, message, outcome, retryable } = answer.json().error!;
  expect({ code, outcome, retryable }).toEqual({ code: rich.code, outcome: rich.outcome, retryable: rich.retryable });
  // An internal fault has another id each time.
  if (code !== 'INTERNAL') expect([rich.error, message]).toEqual([reply.error, reply.error]);
  return { text: reply.error!, rich, http: answer.status };
}

test.each([
  'nope',
  'Probe',
  'constructor',
  'toString',
  'hasOwnProperty',
  '__proto__',
  'x'.repeat(65),
  'a b',
  'pröbe',
  '1probe',
])('the actor %s is unknown', async (actor) => {
  const { text, rich, http } = await ask({ actor });
  expect({ text, code: rich.code, http }).toEqual({
    text: `Unknown actor: ${actor}`,
    code: 'UNKNOWN_ACTOR',
    http: 404,
  });
});

test.each([
  'nope',
  'Set',
  'constructor',
  'toString',
  'valueOf',
  '__proto__',
  '__defineGetter__',
  'then',
  'onConnect',
  'a.b',
])('the method %s is unknown', async (method) => {
  const { text, rich, http } = await ask({ method });
  expect({ text, code: rich.code, http }).toEqual({
    text: `Unknown method: ${method}`,
    code: 'UNKNOWN_METHOD',
    http: 404,
  });
});

test('wrong input is refused with the issues of the schema', async () => {
  const { text, rich, http } = await ask({ input: 'seven' });
  expect(text).toMatch(/^Validation failed for set: \[\{.*\}\]$/);
  const issues = JSON.parse(text.slice('Validation failed for set: '.length)) as { message: string }[];
  expect(issues).toEqual([expect.objectContaining({ message: expect.stringContaining('number') })]);
  expect({ code: rich.code, outcome: rich.outcome, http }).toEqual({ code: 'INVALID', outcome: 'rejected', http: 400 });
});

test('missing input is refused in the same way', async () => {
  expect((await ask({})).text).toMatch(/^Validation failed for set: \[/);
});

test.each([
  ['its own message', 'changeAndThrow', 'changed my mind'],
  ['its own message, after an await', 'changeAwaitAndThrow', 'changed my mind later'],
  ['"Error" when the message is empty', 'throwEmpty', 'Error'],
  ['"Unknown error" when text was thrown', 'throwText', 'Unknown error'],
  ['"Unknown error" when nothing was thrown', 'throwNothing', 'Unknown error'],
])('a handler that throws is heard with %s', async (_, method, message) => {
  const { text, rich, http } = await ask({ method });
  expect({ text, outcome: rich.outcome, code: rich.code, http }).toEqual({
    text: message,
    outcome: 'failed',
    code: 'HANDLER',
    http: 422,
  });
});

test.each(['notJson', 'undeclared', 'undeclaredCaught', 'badPayload'])(
  'a mistake of the author (%s) is told as an internal error, and explained in the log only',
  async (method) => {
    const { text, rich, http } = await ask({ method });
    expect(text).toMatch(/^Internal error \S+$/);
    expect({ outcome: rich.outcome, code: rich.code, http }).toEqual({
      outcome: 'failed',
      code: 'INTERNAL',
      http: 500,
    });
    const errorId = text.slice('Internal error '.length);
    const line = await server.logged((logged) => logged['errorId'] === errorId);
    expect(line).toMatchObject({ level: 50, tenant: 'acme', actor: 'probe', actorId: 'e1', what: method });
    expect(await base.subscribe('probe', 'e1')).toMatchObject({ value: 0 });
  },
);

describe('a frame with a malformed field', () => {
  const good = { type: 'rpc', actor: 'probe', actorId: 'e2', method: 'nothing' };
  test.each([
    ['no actor', { actor: undefined }],
    ['an actor that is a number', { actor: 7 }],
    ['an actor that is an object', { actor: { toString: 1 } }],
    ['no actorId', { actorId: undefined }],
    ['an actorId that is null', { actorId: null }],
    ['an actorId that is a list', { actorId: ['e2'] }],
    ['no method', { method: undefined }],
    ['a method that is a list', { method: ['nothing'] }],
    ['a key that is a number', { key: 5 }],
    ['an empty key', { key: '' }],
    ['a key of 300 characters', { key: 'k'.repeat(300) }],
    ['a deadline in the past', { deadlineMs: -1 }],
    ['a deadline that is text', { deadlineMs: 'soon' }],
  ])('(%s) gets exactly one result', async (name, wrong) => {
    const id = `m ${name}`;
    v1.send({ ...good, ...wrong, id });
    const reply = await v1.until((frame) => frame['id'] === id);
    expect(reply).toMatchObject({ type: 'rpc:result', outcome: 'rejected', retryable: false });
    expect(await v1.call({ actor: 'probe', actorId: 'e2', method: 'nothing' })).toMatchObject({ outcome: 'ok' });
    expect(v1.frames.filter((frame) => frame['id'] === id)).toHaveLength(1);
  });

  test('(a numeric id) is answered under that id', async () => {
    v1.send({ ...good, id: 12 });
    expect(await v1.until((frame) => frame['id'] === 12)).toMatchObject({ outcome: 'rejected', code: 'MALFORMED' });
  });
});

test('a subscription to an unknown actor gets an error frame with the additions, and nothing without', async () => {
  v1.send({ type: 'state:sub', actor: 'nope', actorId: 'x' });
  expect(await v1.until((frame) => frame.type === 'error')).toEqual({
    type: 'error',
    re: { type: 'state:sub', actor: 'nope', actorId: 'x' },
    code: 'UNKNOWN_ACTOR',
    message: 'Unknown actor: nope',
    retryable: false,
  });
  const from = base.frames.length;
  base.send({ type: 'state:sub', actor: 'nope', actorId: 'x' });
  base.send({ type: 'event:sub', actor: 'nope', actorId: 'x' });
  expect(await base.settled('probe', 'e1', from)).toEqual([]);
});

test('an unknown type of frame is ignored', async () => {
  const from = base.frames.length;
  for (const type of ['future:thing', 'hello', 'constructor', '__proto__', 42, null])
    base.send({ type, id: 'x', actor: 'probe' });
  expect(await base.settled('probe', 'e1', from)).toEqual([]);
});

test('what is no JSON ends the connection with 4400', async () => {
  const client = await stage.connect(server);
  client.sendText('{"type":');
  expect((await client.closed).code).toBe(4400);
});

test('an answer never shows a stack, a path or SQL', () => {
  const said = [...base.texts, ...v1.texts].join('\n');
  expect(said).not.toMatch(/\bat \S+ \(|file:\/\/|\.ts:|SELECT|INSERT|node_modules/);
});

test('the state of an actor that was never called is its first one', async () => {
  const { status, json, headers } = await getState(server.address, 'probe', 'untouched', { token });
  expect({ status, etag: headers['etag'], state: json() }).toEqual({
    status: 200,
    etag: expect.stringMatching(/^"0-\w+"$/),
    state: { value: 0, items: [], log: [] },
  });
});
