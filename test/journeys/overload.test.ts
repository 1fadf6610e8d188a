/** Every queue has an end, and says so at once; whoever reads too slowly goes, and nobody else notices. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BaseClient, Frame, Reply } from '../support/base-client.ts';
import type { ServerProcess } from '../support/server.ts';
import { Stage } from '../support/stage.ts';

const stage = new Stage();
afterAll(() => stage.end());

const mailboxCallsMax = 8;
const connectionCallsMax = 16;

let server: ServerProcess;
let client: BaseClient;

beforeAll(async () => {
  const limits = { mailboxCallsMax, connectionCallsMax, messagesPerSecond: 0, messagesBurst: 0 };
  const args = Object.entries(limits).flatMap(([name, value]) => ['--limit', `${name}=${value}`]);
  server = await stage.serve({ app: 'busy', args });
  client = await stage.connect(server, { v1: true });
});

function order(frames: readonly Frame[], replies: readonly Reply[]): number[] {
  return replies.map((reply) => frames.indexOf(reply));
}

test('past its bound a mailbox refuses at once, while the actor is still busy', async () => {
  const from = client.frames.length;
  const busy = client.call({ actor: 'sleeper', actorId: 'm', method: 'sleep', input: { ms: 400 } });
  const calls = Array.from({ length: 14 }, () => client.call({ actor: 'sleeper', actorId: 'm', method: 'quick' }));
  const replies = await Promise.all(calls);
  const refused = replies.filter(({ outcome }) => outcome === 'rejected');
  const done = replies.filter(({ outcome }) => outcome === 'ok');
  expect(done.length + refused.length).toBe(calls.length);
  // The busy call may or may not have left the mailbox before the others came.
  expect([mailboxCallsMax - 1, mailboxCallsMax]).toContain(done.length);
  for (const reply of refused) {
    expect(reply).toMatchObject({ code: 'OVERLOADED', retryable: true, retryAfterMs: expect.any(Number) });
    expect(reply.retryAfterMs).toBeGreaterThan(0);
  }
  const frames = client.frames.slice(from);
  expect(Math.max(...order(frames, refused))).toBeLessThan(frames.indexOf(await busy));
  // What was accepted was done, and nothing of what was refused.
  expect(await client.rpc('sleeper', 'm', 'quick')).toBe(done.length + 2);
});

test('past its bound a connection is refused at once, and others are not', async () => {
  const other = await stage.connect(server, { v1: true });
  const from = client.frames.length;
  const calls = Array.from({ length: connectionCallsMax + 4 }, (_, n) =>
    client.call({ actor: 'sleeper', actorId: `c${n}`, method: 'sleep', input: { ms: 300 } }),
  );
  expect(await other.call({ actor: 'sleeper', actorId: 'other', method: 'quick' })).toMatchObject({ outcome: 'ok' });
  const replies = await Promise.all(calls);
  const refused = replies.filter(({ outcome }) => outcome === 'rejected');
  expect(replies.map(({ outcome }) => outcome)).toEqual([
    ...Array<string>(connectionCallsMax).fill('ok'),
    ...Array<string>(4).fill('rejected'),
  ]);
  for (const reply of refused)
    expect(reply).toMatchObject({ code: 'OVERLOADED', retryable: true, retryAfterMs: expect.any(Number) });
  expect(order(client.frames.slice(from), refused)).toEqual([0, 1, 2, 3]);
  expect(await client.call({ actor: 'sleeper', actorId: 'c0', method: 'quick' })).toMatchObject({
    outcome: 'ok',
    result: 2,
  });
});

test('a base client is told in words', async () => {
  const base = await stage.connect(server);
  const calls = Array.from({ length: connectionCallsMax + 1 }, (_, n) =>
    base.call({ actor: 'sleeper', actorId: `b${n}`, method: 'sleep', input: { ms: 100 } }),
  );
  const last = (await Promise.all(calls)).at(-1);
  expect(last).toEqual({
    type: 'rpc:result',
    id: expect.any(String),
    error: 'Too many calls in flight on this connection',
  });
});

describe('a client that does not read', () => {
  const bytes = 60_000;
  const rounds = 400;

  test('events for it end its connection with 4408, and the others get all of them', async () => {
    const slow = await stage.connect(server, { sub: 'slow' });
    const fast = await stage.connect(server, { sub: 'fast' });
    for (const one of [slow, fast]) {
      one.send({ type: 'event:sub', actor: 'chatty', actorId: 'room' });
      await one.settled('chatty', 'room');
    }
    slow.pause();
    const from = fast.frames.length;
    for (let n = 0; n < rounds; n += 1) await client.rpc('chatty', 'room', 'shout', { bytes });
    const heard = await fast.settled('chatty', 'room', from);
    expect(heard.filter(({ type }) => type === 'event')).toHaveLength(rounds);
    slow.resume();
    expect((await slow.closed).code).toBe(4408);
    expect(await client.rpc('chatty', 'room', 'shout', { bytes: 1 })).toBe(rounds + 1);
  });

  test('answers for it end its connection with 4408: it has the first ones, and none is missing in between', async () => {
    const slow = await stage.connect(server, { sub: 'slow', v1: true });
    slow.pause();
    const calls: Promise<unknown>[] = [];
    for (let n = 0; n < rounds; n += 1) {
      calls.push(
        slow
          .call({ actor: 'chatty', actorId: `e${n % 4}`, method: 'echo', input: { bytes }, id: `${n}` })
          .catch(() => 'lost'),
      );
      // Within the bound of the connection: the server answers into the socket while the client does not read.
      if (n % 8 === 7) await client.rpc('chatty', `e${n % 4}`, 'echo', { bytes: 1 });
    }
    slow.resume();
    expect((await slow.closed).code).toBe(4408);
    const ends = await Promise.all(calls);
    const answered = ends.filter((end) => end !== 'lost').length;
    expect(answered).toBeLessThan(rounds);
    expect(ends.slice(0, answered)).not.toContain('lost');
  });
});

test('a thread that is blocked answers later, and the process lives on', async () => {
  const spin = client.call({ actor: 'sleeper', actorId: 's', method: 'spin', input: { ms: 500 } });
  const next = client.call({ actor: 'sleeper', actorId: 's2', method: 'quick' });
  expect(await spin).toMatchObject({ outcome: 'ok' });
  expect(await next).toMatchObject({ outcome: 'ok', result: 1 });
});
