/** A call with a key has its effect once and one answer, over both wires, across crashes and eviction. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { BaseClient } from '../support/base-client.ts';
import { getState, post } from '../support/http.ts';
import type { ServerProcess } from '../support/server.ts';
import { Stage } from '../support/stage.ts';
import { mint } from '../support/token.ts';

const stage = new Stage();
afterAll(() => stage.end());

let server: ServerProcess;
let client: BaseClient;
let other: BaseClient;
let token: string;

beforeAll(async () => {
  server = await stage.serve({ app: 'ledger', args: ['--shards', '2'] });
  client = await stage.connect(server, { v1: true });
  other = await stage.connect(server, { v1: true, sub: 'bob' });
  token = await mint();
});

async function countOf(at: ServerProcess, id: string): Promise<number> {
  return ((await getState(at.address, 'counter', id, { token })).json() as { count: number }).count;
}

test('a repeat gets the stored answer, letter by letter, on any connection', async () => {
  const call = { actor: 'counter', actorId: 'k1', method: 'draw', key: 'once', id: 'same' };
  await client.call(call);
  const first = client.textOf('same');
  await client.call(call);
  expect(client.textOf('same')).toBe(first);
  await other.call(call);
  expect(other.textOf('same')).toBe(first);
  expect(await countOf(server, 'k1')).toBe(1);
});

test('HTTP and WebSocket share the keys of an actor', async () => {
  const first = await post(server.address, ['counter', 'k2', 'draw'], { token, key: 'once' });
  const again = await post(server.address, ['counter', 'k2', 'draw'], { token, key: 'once' });
  expect([again.status, again.text]).toEqual([200, first.text]);
  const { result } = await client.call({ actor: 'counter', actorId: 'k2', method: 'draw', key: 'once' });
  expect({ result }).toEqual(first.json());
});

test('a failure is stored as well', async () => {
  const first = await post(server.address, ['counter', 'k3', 'fail'], { token, key: 'once' });
  const again = await post(server.address, ['counter', 'k3', 'fail'], { token, key: 'once' });
  const unkeyed = await post(server.address, ['counter', 'k3', 'fail'], { token });
  expect([first.status, first.json().error]).toEqual([
    422,
    expect.objectContaining({ code: 'HANDLER', outcome: 'failed' }),
  ]);
  expect([again.status, again.text]).toEqual([422, first.text]);
  expect(unkeyed.text).not.toBe(first.text);
  expect(await countOf(server, 'k3')).toBe(0);
});

test('a refusal is not stored: the same key may be used for the right call', async () => {
  const wrong = await post(server.address, ['counter', 'k4', 'add'], { token, key: 'once', input: { amount: 'x' } });
  expect(wrong.status).toBe(400);
  const right = await post(server.address, ['counter', 'k4', 'add'], { token, key: 'once', input: { amount: 2 } });
  expect(right.json()).toEqual({ result: 2 });
});

test('a key with other arguments, or for another method, is refused', async () => {
  const ask = (method: string, input: unknown) =>
    post(server.address, ['counter', 'k5', method], { token, key: 'once', input });
  expect((await ask('add', { amount: 2 })).json()).toEqual({ result: 2 });
  for (const answer of [await ask('add', { amount: 3 }), await ask('increment', undefined)]) {
    expect([answer.status, answer.json().error]).toEqual([
      409,
      expect.objectContaining({ code: 'KEY_REUSED', outcome: 'rejected', retryable: false }),
    ]);
  }
  const call = { actor: 'counter', actorId: 'k5', method: 'add', key: 'once', input: { amount: 3 } };
  expect(await client.call(call)).toMatchObject({ code: 'KEY_REUSED', outcome: 'rejected' });
  expect(await countOf(server, 'k5')).toBe(2);
});

test('the order of names in an input makes no other call of it', async () => {
  const call = { actor: 'counter', actorId: 'k6', method: 'add', key: 'once' };
  expect(await client.call({ ...call, input: { amount: 2, note: 'n' } })).toMatchObject({ result: 2 });
  expect(await client.call({ ...call, input: { note: 'n', amount: 2 } })).toMatchObject({ result: 2 });
  expect(await client.call({ ...call, input: { note: 'm', amount: 2 } })).toMatchObject({ code: 'KEY_REUSED' });
});

test('a key belongs to one actor', async () => {
  const call = { actor: 'counter', method: 'increment', key: 'once' };
  expect(await client.call({ ...call, actorId: 'k7a' })).toMatchObject({ result: 1 });
  expect(await client.call({ ...call, actorId: 'k7b' })).toMatchObject({ result: 1 });
});

test('repeats that come while the call runs wait for its one answer', async () => {
  const call = { actor: 'counter', actorId: 'k8', method: 'slowly', key: 'once', input: { ms: 300 } };
  const http = post(server.address, ['counter', 'k8', 'slowly'], { token, key: 'once', input: { ms: 300 } });
  const replies = await Promise.all([client, other, client, other, client].map((one) => one.call(call)));
  expect(replies.map(({ result, outcome }) => [result, outcome])).toEqual(Array.from({ length: 5 }, () => [1, 'ok']));
  expect((await http).json()).toEqual({ result: 1 });
  expect(await countOf(server, 'k8')).toBe(1);
});

test('an answer that nobody heard is there for the repeat', async () => {
  const short = await stage.connect(server, { v1: true });
  const call = { actor: 'counter', actorId: 'k9', method: 'slowly', key: 'once', input: { ms: 200 } };
  const lost = short.call(call).catch((error: Error) => error.name);
  short.socket.terminate();
  expect(await lost).toBe('LostError');
  expect(await client.call(call)).toMatchObject({ outcome: 'ok', result: 1 });
  expect(await countOf(server, 'k9')).toBe(1);
});

describe('a stored answer outlives', () => {
  interface Asked {
    readonly text: string;
    readonly failure: string;
  }

  async function askBoth(at: ServerProcess): Promise<Asked> {
    const { text } = await post(at.address, ['counter', 'kept', 'draw'], { token, key: 'once' });
    const failed = await post(at.address, ['counter', 'kept', 'fail'], { token, key: 'and never again' });
    return { text, failure: failed.text };
  }

  test('a kill -9, at once and after its tenant file was written', async () => {
    const own = new Stage();
    onTestFinished(() => own.end());
    const before = await own.serve({ app: 'ledger' });
    const first = await askBoth(before);
    await before.kill9();
    const after = await own.serve({ app: 'ledger', dataDir: before.dataDir });
    expect(await askBoth(after)).toEqual(first);
    // A start has moved the journal into the tenant file by now.
    await after.kill9();
    const last = await own.serve({ app: 'ledger', dataDir: before.dataDir, args: ['--shards', '3'] });
    expect(await askBoth(last)).toEqual(first);
    expect(await countOf(last, 'kept')).toBe(1);
    const reused = await post(last.address, ['counter', 'kept', 'increment'], { token, key: 'once' });
    expect(reused.status).toBe(409);
  });

  test('the actor in memory', async () => {
    const own = new Stage();
    onTestFinished(() => own.end());
    const at = await own.serve({ app: 'ledger', args: ['--limit', 'actorIdleMs=200'] });
    const first = await askBoth(at);
    await at.logged(({ msg, actorId }) => msg === 'left memory' && actorId === 'kept');
    expect(await askBoth(at)).toEqual(first);
    expect(await countOf(at, 'kept')).toBe(1);
  });

  test('its retention not at all', async () => {
    const own = new Stage();
    onTestFinished(() => own.end());
    const at = await own.serve({ app: 'ledger', args: ['--limit', 'outcomeMs=1'] });
    const first = await askBoth(at);
    // One more call takes longer than a millisecond of the same clock.
    await post(at.address, ['counter', 'elsewhere', 'slowly'], { token, input: { ms: 20 } });
    expect((await askBoth(at)).text).not.toBe(first.text);
    expect(await countOf(at, 'kept')).toBe(2);
  });
});
