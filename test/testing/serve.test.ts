import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { z } from 'zod';
import { createClient } from '../../src/client/client.ts';
import { actor, createApp } from '../../src/index.ts';
import { serve, type ServeOptions, type TestServer } from '../../src/testing/serve.ts';
import { eventually } from '../support/wait.ts';

const counter = actor({
  state: z.object({ count: z.number().default(0), left: z.number().default(0) }),
  methods: {
    add: {
      input: z.object({ amount: z.number() }),
      handler: ({ state, input }) => (state.count += input.amount),
    },
    whoami: { handler: ({ tenant, userId }) => ({ tenant, userId }) },
  },
  onDisconnect: ({ state }) => {
    state.left += 1;
  },
});
const app = createApp({ actors: { counter } });

const servers: TestServer[] = [];
const clients: { connection: { close(): void } }[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.connection.close();
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

function start(options?: ServeOptions): TestServer {
  const server = serve(app, options);
  servers.push(server);
  return server;
}

function clientOf({ url }: TestServer, token?: string) {
  const client = createClient<typeof app>({ url, token });
  clients.push(client);
  return client;
}

test('serves an inline app from the moment that it returns, and several at a time', async () => {
  const [one, two] = [start(), start()];
  expect(one.port).toBeGreaterThan(0);
  expect(one.port).not.toBe(two.port);
  const address = `${one.url}/v1/actors/counter/c1/add`;
  const answer = await fetch(address, { method: 'POST', body: '{"amount":2}' });
  expect(await answer.json()).toEqual({ result: 2 });
  expect(await clientOf(two).counter('c1').add({ amount: 5 })).toBe(5);
});

test('makes tokens that it accepts', async () => {
  const server = start();
  const token = await server.token({ tenant: 'acme', sub: 'ada' });
  expect(await clientOf(server, token).counter('c1').whoami()).toEqual({ tenant: 'acme', userId: 'ada' });
  expect(await clientOf(server).counter('c1').whoami()).toEqual({ tenant: 'dev', userId: null });
});

test('closes as a server stops: hooks run, sockets end, its temporary data is gone', async () => {
  const server = start();
  const client = clientOf(server);
  await client.counter('c1').add({ amount: 1 });
  expect(existsSync(server.dataDir)).toBe(true);
  await Promise.all([server.close(), server.close()]);
  await eventually('the client noticed', () => client.connection.status !== 'connected');
  expect(existsSync(server.dataDir)).toBe(false);
  await expect(fetch(`${server.url}/health`)).rejects.toThrow();
});

test('keeps a data directory that it was given, for the next one', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'fermata-testing-'));
  try {
    const first = start({ dataDir });
    await clientOf(first).counter('c1').add({ amount: 3 });
    expect(() => serve(app, { dataDir })).toThrow(/in use/);
    await first.close();
    const second = start({ dataDir });
    const state = await fetch(`${second.url}/v1/actors/counter/c1/state`);
    expect(await state.json()).toEqual({ count: 3, left: 1 });
  } finally {
    await Promise.all(servers.splice(0).map((server) => server.close()));
    rmSync(dataDir, { recursive: true, force: true });
  }
});

test('refuses a port that is taken and a limit that is none, and leaves nothing behind', () => {
  const { port } = start();
  expect(() => serve(app, { port })).toThrow(/cannot listen on 127\.0\.0\.1/);
  expect(() => serve(app, { limits: { socketIdleS: 1 } })).toThrow(/socketIdleS/);
});
