/** The HTTP status that an author gives an error, from the handler to the answer. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { AppError, actor, createApp } from '../../src/index.ts';
import { serve, type TestServer } from '../../src/testing/serve.ts';

const door = actor({
  state: z.object({}),
  methods: {
    open: {
      input: z.object({ status: z.number() }),
      handler: ({ input }) => {
        throw new AppError('DOOR_GONE', 'There is no door any more', { status: input.status });
      },
    },
  },
});

let server: TestServer;
beforeAll(() => {
  server = serve(createApp({ actors: { door } }));
});
afterAll(() => server.close());

async function open(status: number, headers: Record<string, string> = {}) {
  const address = `${server.url}/v1/actors/door/d1/open`;
  const answer = await fetch(address, { method: 'POST', body: JSON.stringify({ status }), headers });
  return { status: answer.status, body: await answer.json() };
}

test.each([
  [410, 410],
  [503, 503],
  // No status of an error: the one of all codes that are the author's own.
  [200, 422],
  [1000, 422],
  [410.5, 422],
])('%d is answered with %d, and is no part of the body', async (given, status) => {
  const error = { code: 'DOOR_GONE', message: 'There is no door any more', outcome: 'failed', retryable: false };
  expect(await open(given)).toEqual({ status, body: { error } });
});

test('a repeat with the same key gets the same', async () => {
  const headers = { 'idempotency-key': 'once' };
  const first = await open(410, headers);
  expect(first.status).toBe(410);
  expect(await open(410, headers)).toEqual(first);
});

test('is not told over a WebSocket', async () => {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/ws`, 'fermata.v1');
  const frames: Record<string, unknown>[] = [];
  const answered = new Promise<void>((resolve) => {
    socket.addEventListener('message', ({ data }) => {
      frames.push(JSON.parse(String(data)) as Record<string, unknown>);
      if (frames.length === 2) resolve();
    });
  });
  await new Promise((resolve) => socket.addEventListener('open', resolve));
  const input = { status: 410 };
  socket.send(JSON.stringify({ type: 'rpc', id: '1', actor: 'door', actorId: 'd1', method: 'open', input }));
  await answered;
  socket.close();
  expect(Object.keys(frames[1]!).sort()).toEqual(['code', 'error', 'id', 'outcome', 'retryable', 'type']);
});
