/**
 * The connections of stock clients: their session ends with each of them, and what they do by themselves (come back,
 * subscribe again, send again what waited) is enough to be where the server is.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TestServer } from '../../src/testing/serve.ts';
import { app } from '../support/apps/stock.ts';
import { BaseClient } from '../support/base-client.ts';
import { getState } from '../support/http.ts';
import type { ServerProcess } from '../support/server.ts';
import { Stage } from '../support/stage.ts';
import type { StockClient } from '../support/stock-client.ts';
import { settled, StockStage } from '../support/stock-stage.ts';
import type { Frame } from '../support/stock-watch.ts';
import { mint } from '../support/token.ts';
import { eventually } from '../support/wait.ts';

interface Room {
  readonly lines: readonly string[];
  readonly online: readonly string[];
  readonly visits: number;
}

let stocks: StockStage;
let stage: Stage;
beforeEach(() => {
  stocks = new StockStage();
  stage = new Stage();
});
afterEach(async () => {
  await stage.end();
  await stocks.end();
});

function kindsSent(client: StockClient, from: number): unknown[] {
  return client.sent.slice(from).map((text) => (JSON.parse(text) as Frame)['type']);
}

async function roomOf(address: string, token?: string): Promise<Room> {
  return (await getState(address, 'room', 'r', token === undefined ? {} : { token })).json() as unknown as Room;
}

/** A port to come back to. It is below those that systems give to outgoing connections, so that none takes it meanwhile. */
async function steadyPort(): Promise<string> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const probe = createServer();
    const free = once(probe, 'listening').then(
      () => true,
      () => false,
    );
    probe.listen(port, '127.0.0.1');
    if (!(await free)) continue;
    probe.close();
    await once(probe, 'close');
    return String(port);
  }
}

describe('a session', () => {
  let server: TestServer;
  let watcher: StockClient;
  let left: unknown[];

  beforeEach(async () => {
    server = stocks.serve(app);
    watcher = await stocks.connect(server.url);
    left = [];
    watcher.actor('room', 'r').on('left', (clientId) => left.push(clientId));
    watcher.actor('room', 'r').subscribe();
    await settled(watcher.actor('room', 'r'));
  });

  test('ends at once when its client closes', async () => {
    const client = await stocks.connect(server.url);
    const { clientId } = client;
    client.actor('room', 'r').subscribe();
    await settled(client.actor('room', 'r'));
    expect((watcher.actor('room', 'r').state as Room).online).toHaveLength(2);
    client.close();
    await eventually('it was told', () => left.length > 0);
    expect(left).toEqual([clientId]);
    expect(watcher.actor('room', 'r').state).toMatchObject({ online: [watcher.clientId], visits: 2 });
  });

  test('ends at once when its connection is lost, for it cannot be taken up again', async () => {
    const client = await BaseClient.connect(server.url);
    await client.rpc('room', 'r', 'say', 'hello');
    const { clientId } = client;
    client.socket.terminate();
    await eventually('it was told', () => left.length > 0);
    expect(left).toEqual([clientId]);
    expect((await roomOf(server.url)).online).toEqual([watcher.clientId]);
  });

  test('is another one after a reconnect: the client comes back, subscribes again and goes on', async () => {
    const client = await stocks.connect(server.url, { reconnectDelayMs: 20 });
    const room = client.actor('room', 'r');
    const heard: unknown[] = [];
    room.on('said', (text) => heard.push(text));
    room.subscribe();
    await settled(room);
    const before = client.clientId;
    const from = client.sent.length;
    // What is no JSON ends the connection, with a reason that the call under way is rejected with.
    const lost = room.call('saySlowly', 300);
    const rejected = expect(lost).rejects.toThrow(/^malformed$/);
    await eventually('the call is under way', () => client.sent.length > from);
    client.sendRaw('{"type":');
    await rejected;
    const next = room.call('say', 'back again');
    expect(client.connected).toBe(false);
    expect(await next).toBeGreaterThan(0);
    expect(client.closes).toEqual([{ code: 4400, reason: 'malformed' }]);
    expect(kindsSent(client, from + 2)).toEqual(['event:sub', 'state:sub', 'rpc']);
    expect(client.clientId).not.toBe(before);
    expect(heard).toEqual(['back again']);
    expect(room.state).toEqual(await roomOf(server.url));
    expect(left).toEqual([before]);
    await settled(watcher.actor('room', 'r'));
    expect(watcher.actor('room', 'r').state).toMatchObject({ online: [watcher.clientId, client.clientId], visits: 3 });
  });
});

test('a server that is closed says so, and one that takes its place has the same state', async () => {
  const dataDir = stage.dataDir();
  const port = Number(await steadyPort());
  const first = stocks.serve(app, { dataDir, port });
  const client = await stocks.connect(first.url, { reconnectDelayMs: 20 });
  const room = client.actor('room', 'r');
  room.subscribe();
  await room.call('say', 'before');
  await first.close();
  expect(client.frames.at(-1)).toEqual({
    type: 'server:shutdown',
    reason: 'deployment',
    reconnectInMs: expect.any(Number),
  });
  await eventually('the connection ended', () => client.closes.length > 0);
  expect(client.closes[0]!.code).toBe(1012);
  const waits = room.call('say', 'after');
  const second = stocks.serve(app, { dataDir, port });
  expect(await waits).toBe(2);
  expect(room.state).toEqual({ lines: ['before', 'after'], online: [client.clientId], visits: 2 });
  expect(room.state).toEqual(await roomOf(second.url));
});

describe('the shipped server', () => {
  const env = { AUTH_QUERY_TOKEN: 'true' };

  async function shipped(dataDir: string, port: string): Promise<ServerProcess> {
    return await stage.serve({ app: 'stock', dataDir, env, args: ['--port', port] });
  }

  test('comes back from a kill -9 with everything that it acknowledged, in order, and without ghosts', async () => {
    const [dataDir, port] = [stage.dataDir(), await steadyPort()];
    const first = await shipped(dataDir, port);
    const token = await mint();
    const [ada, bob] = await Promise.all(
      ['ada', 'bob'].map(async (sub) =>
        stocks.connect(first.address, { token: await mint({ sub }), reconnectDelayMs: 50 }),
      ),
    );
    const heard: string[] = [];
    bob!.actor('room', 'r').on('said', (text) => heard.push(String(text)));
    bob!.actor('room', 'r').subscribe();
    await settled(bob!.actor('room', 'r'));

    const acknowledged: string[] = [];
    const failed: string[] = [];
    const writing = (async () => {
      for (let n = 0; failed.length === 0; n += 1) {
        await ada!
          .actor('room', 'r')
          .call('say', `${n}`)
          .then(
            () => acknowledged.push(`${n}`),
            (error: unknown) => failed.push((error as Error).message),
          );
      }
    })();
    await eventually('some were acknowledged', () => acknowledged.length >= 20);
    await first.kill9();
    await writing;
    expect(failed).toEqual(['WebSocket closed']);

    const second = await shipped(dataDir, port);
    await eventually('both are back', () => ada!.connections === 2 && bob!.connections === 2);
    await ada!.actor('room', 'r').call('say', 'after');
    await settled(bob!.actor('room', 'r'));
    const state = await roomOf(second.address, token);
    expect(state.lines.slice(0, acknowledged.length)).toEqual(acknowledged);
    expect(state.lines.slice(acknowledged.length).filter((line) => line !== 'after').length).toBeLessThanOrEqual(1);
    expect(new Set(state.online)).toEqual(new Set([ada!.clientId, bob!.clientId]));
    expect(state.online).toHaveLength(2);
    expect(bob!.actor('room', 'r').state).toEqual(state);
    // Nothing was seen that a crash took back, and nothing twice.
    expect(state.lines).toEqual(expect.arrayContaining(heard));
    expect(new Set(heard).size).toBe(heard.length);
  });

  test('answers at SIGTERM what it accepted, tells every client, and is found again', async () => {
    const [dataDir, port] = [stage.dataDir(), await steadyPort()];
    const first = await shipped(dataDir, port);
    const client = await stocks.connect(first.address, { token: await mint(), reconnectDelayMs: 50 });
    const room = client.actor('room', 'r');
    room.subscribe();
    await settled(room);
    const slow = room.call('saySlowly', 300);
    // Another actor's answer: the slow call has arrived.
    await settled(client.actor('room', 'elsewhere'));
    const exit = first.term();
    expect(await slow).toBe(1);
    expect(room.state).toMatchObject({ lines: ['at last'] });
    expect(await exit).toEqual({ code: 0, signal: null });
    expect(client.frames).toContainEqual({
      type: 'server:shutdown',
      reason: 'deployment',
      reconnectInMs: expect.any(Number),
    });
    expect(client.closes[0]).toMatchObject({ code: 1012 });

    await shipped(dataDir, port);
    await eventually('it is back', () => client.connections === 2 && client.clientId !== null);
    expect(await room.call('say', 'again')).toBe(2);
    expect(room.state).toEqual({ lines: ['at last', 'again'], online: [client.clientId], visits: 2 });
  });

  test('takes the token from the address, knows the user by it, and never logs it', async () => {
    const server = await stage.serve({ app: 'stock', env: { ...env, LOG_LEVEL: 'debug' } });
    const token = await mint({ sub: 'ada' });
    const ada = await stocks.connect(server.address, { token });
    expect(await ada.actor('room', 'r').call('me')).toMatchObject({ clientId: ada.clientId, userId: 'ada' });
    expect(await ada.actor('vault', 'ada').call('open')).toBe('owner ada');
    await expect(ada.actor('vault', 'bob').call('open')).rejects.toThrow(/^Forbidden$/);
    // Another tenant's room of the same name is another room.
    const eve = await stocks.connect(server.address, { token: await mint({ tenant: 'other', sub: 'eve' }) });
    await ada.actor('room', 'r').call('say', 'secret');
    eve.actor('room', 'r').subscribe();
    await settled(eve.actor('room', 'r'));
    expect(eve.actor('room', 'r').state).toEqual({ lines: [], online: [eve.clientId], visits: 1 });
    await server.term();
    for (const part of token.split('.').slice(1)) expect(server.output).not.toContain(part);
  });

  test('lets nobody in without a token, with a wrong one, or with one in the address while that is off', async () => {
    const [open, closed] = [await stage.serve({ app: 'stock', env }), await stage.serve({ app: 'stock' })];
    const refused = [
      stocks.client(open.address, { reconnectDelayMs: 20 }),
      stocks.client(open.address, { token: 'wrong', reconnectDelayMs: 20 }),
      stocks.client(closed.address, { token: await mint(), reconnectDelayMs: 20 }),
    ];
    for (const client of refused) {
      // They try again and again, as stock clients do.
      await eventually('a few attempts', () => client.closes.length >= 3);
      expect([client.connections, client.frames]).toEqual([0, []]);
    }
  });
});
