/**
 * The base set of the protocol, lived through with a client that behaves as Zocket's own: what it is told, in which order,
 * and that it is told nothing else. The clients are strict about that by themselves (see StockWatch and StockStage).
 */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { TestServer } from '../../src/testing/serve.ts';
import { app } from '../support/apps/stock.ts';
import { getState } from '../support/http.ts';
import type { StockClient } from '../support/stock-client.ts';
import { settled, StockStage } from '../support/stock-stage.ts';
import type { Frame } from '../support/stock-watch.ts';
import { eventually } from '../support/wait.ts';

const servers = new StockStage();
let server: TestServer;
beforeAll(() => {
  server = servers.serve(app);
});
afterAll(() => servers.end());

let rooms = 0;

/** A room of its own for each test, and clients that must have heard nothing wrong when it ends. */
async function meet(people: number): Promise<{ id: string; clients: StockClient[] }> {
  const stage = new StockStage();
  onTestFinished(() => stage.end());
  const clients = await Promise.all(Array.from({ length: people }, () => stage.connect(server.url)));
  return { id: `room ${++rooms}`, clients };
}

interface Room {
  readonly lines: readonly string[];
  readonly online: readonly string[];
  readonly visits: number;
}

async function stateOf(id: string): Promise<Room> {
  return (await getState(server.url, 'room', id)).json() as unknown as Room;
}

function kinds(frames: readonly Frame[]): string[] {
  return frames.map((frame) => (frame['type'] === 'event' ? `event ${String(frame['event'])}` : String(frame['type'])));
}

describe('a connection', () => {
  test('begins with a welcome that has a client id and nothing else', async () => {
    const { clients } = await meet(2);
    for (const { frames } of clients)
      expect(frames).toEqual([{ type: 'welcome', clientId: expect.stringMatching(/./) }]);
    expect(clients[0]!.clientId).not.toBe(clients[1]!.clientId);
  });

  test('is known to handlers by the id of its welcome', async () => {
    const { id, clients } = await meet(2);
    const [ada, bob] = clients;
    await bob!.actor('room', id).call('nothing');
    expect(await ada!.actor('room', id).call('me')).toEqual({
      clientId: ada!.clientId,
      userId: null,
      clients: [bob!.clientId, ada!.clientId],
    });
  });

  test('takes subscriptions and calls that are sent as soon as it is open', async () => {
    const stage = new StockStage();
    onTestFinished(() => stage.end());
    const client = stage.client(server.url);
    const room = client.actor('room', `room ${++rooms}`);
    const heard: unknown[] = [];
    const first = room.call('say', 'hello');
    room.on('said', (text) => heard.push(text));
    room.subscribe();
    expect(await first).toBe(1);
    expect(client.sent.map((text) => (JSON.parse(text) as Frame)['type'])).toEqual(['event:sub', 'state:sub', 'rpc']);
    expect(heard).toEqual(['hello']);
    expect(room.state).toMatchObject({ lines: ['hello'] });
  });
});

describe('a call', () => {
  test('is heard as patch, events in emit order, result', async () => {
    const { id, clients } = await meet(2);
    const [ada, bob] = clients as [StockClient, StockClient];
    for (const client of clients) {
      client.actor('room', id).on('said', () => {});
      client.actor('room', id).subscribe();
      await settled(client.actor('room', id));
    }
    // Whoever came later is told to those who were there.
    await settled(ada.actor('room', id));
    const starts = [ada.frames.length, bob.frames.length] as const;
    await ada.actor('room', id).call('say', 'hello');
    await settled(bob.actor('room', id));
    const change = [
      { type: 'state:patch', actor: 'room', actorId: id, patches: [{ op: 'add', path: '/lines/0', value: 'hello' }] },
      { type: 'event', actor: 'room', actorId: id, event: 'said', payload: 'hello' },
      { type: 'event', actor: 'room', actorId: id, event: 'counted', payload: { lines: 1 } },
    ];
    expect(ada.frames.slice(starts[0])).toEqual([...change, { type: 'rpc:result', id: expect.any(String), result: 1 }]);
    expect(bob.frames.slice(starts[1], -1)).toEqual(change);
  });

  test('starts after those that the same connection sent to the same actor before, sync and async ones alike', async () => {
    const { id, clients } = await meet(1);
    const room = clients[0]!.actor('room', id);
    const numbers = Array.from({ length: 300 }, (_, n) => n);
    const lengths = await Promise.all(numbers.map((n) => room.call('sayAnyhow', n)));
    expect(lengths).toEqual(numbers.map((n) => n + 1));
    const results = clients[0]!.frames.filter(({ type }) => type === 'rpc:result').map(({ result }) => result);
    expect(results).toEqual(lengths);
    expect((await stateOf(id)).lines).toEqual(numbers.map(String));
    expect(clients[0]!.unanswered).toEqual([]);
  });

  test('to one actor does not wait for one to another', async () => {
    const { id, clients } = await meet(1);
    const [client] = clients as [StockClient];
    const slow = client.actor('room', `${id} slow`).call('saySlowly', 200);
    await client.actor('room', `${id} fast`).call('nothing');
    expect(client.unanswered).toHaveLength(1);
    expect(await slow).toBe(1);
  });
});

describe('a subscription to the state', () => {
  test('begins with a snapshot that holds what onConnect wrote', async () => {
    const { id, clients } = await meet(2);
    const [ada, bob] = clients as [StockClient, StockClient];
    await ada.actor('room', id).call('say', 'before');
    const room = bob.actor('room', id);
    const seen: unknown[] = [];
    room.subscribe((state) => seen.push(state));
    await eventually('the snapshot', () => seen.length > 0);
    expect(seen[0]).toEqual({ lines: ['before'], online: [ada.clientId, bob.clientId], visits: 2 });
  });

  test('hears no patch before its snapshot, however busy the actor is', async () => {
    const { id, clients } = await meet(6);
    const [writer, ...watchers] = clients as [StockClient, ...StockClient[]];
    const writes = Array.from({ length: 100 }, (_, n) => writer.actor('room', id).call('sayAnyhow', n));
    const rooms = watchers.map((watcher) => watcher.actor('room', id));
    for (const room of rooms) {
      room.subscribe();
      await settled(room);
    }
    await Promise.all(writes);
    for (const room of rooms) await settled(room);
    const state = await stateOf(id);
    for (const room of rooms) expect(room.state).toEqual(state);
  });

  test('gets one patch frame for each turn that changed something', async () => {
    const { id, clients } = await meet(2);
    const [ada, bob] = clients as [StockClient, StockClient];
    const seen: unknown[] = [];
    ada.actor('room', id).subscribe((state) => seen.push((state as Room).lines));
    await settled(ada.actor('room', id));
    const room = bob.actor('room', id);
    await Promise.all([room.call('say', 'one'), room.call('nothing'), room.call('say', 'two'), room.call('mumble')]);
    await settled(ada.actor('room', id));
    // The second one is that of bob's arrival.
    expect(seen).toEqual([[], [], ['one'], ['one', 'two']]);
  });

  test('ends when the last listener leaves, while that to events goes on', async () => {
    const { id, clients } = await meet(2);
    const [ada, bob] = clients as [StockClient, StockClient];
    const room = ada.actor('room', id);
    const heard: unknown[] = [];
    room.on('said', (text) => heard.push(text));
    const leaves = [room.subscribe(), room.subscribe()];
    leaves[0]!();
    await bob.actor('room', id).call('say', 'one');
    await settled(room);
    leaves[1]!();
    await settled(room);
    const from = ada.frames.length;
    await bob.actor('room', id).call('say', 'two');
    await settled(room);
    expect(kinds(ada.frames.slice(from))).toEqual(['event said', 'event counted', 'rpc:result']);
    expect(heard).toEqual(['one', 'two']);
    expect(room.state).toMatchObject({ lines: ['one'] });
    room.subscribe();
    await eventually('a snapshot again', () => (room.state as Room).lines.length === 2);
  });
});

describe('events', () => {
  test('go to all, to one, to some, or to all but some, and only to those who subscribed', async () => {
    const { id, clients } = await meet(4);
    const [ada, bob, carl, deaf] = clients as [StockClient, StockClient, StockClient, StockClient];
    const heard: Record<string, unknown[]> = { ada: [], bob: [], carl: [] };
    for (const [name, client] of Object.entries({ ada, bob, carl })) {
      client.actor('room', id).on('said', (text) => heard[name]!.push(text));
      await settled(client.actor('room', id));
    }
    await settled(deaf.actor('room', id));
    const room = bob.actor('room', id);
    await room.call('say', 'all');
    await room.call('tell', { text: 'to carl', to: carl.clientId });
    await room.call('tell', { text: 'to ada and one who is deaf', to: [ada.clientId, deaf.clientId, 'nobody'] });
    await room.call('tell', { text: 'to nobody', to: [] });
    await room.call('tellOthers', { text: 'but bob' });
    await room.call('tellOthers', { text: 'but two', except: [ada.clientId, bob.clientId] });
    for (const client of clients) await settled(client.actor('room', id));
    expect(heard).toEqual({
      ada: ['all', 'to ada and one who is deaf', 'but bob'],
      bob: ['all'],
      carl: ['all', 'to carl', 'but bob', 'but two'],
    });
    expect(deaf.frames.filter(({ type }) => type === 'event')).toEqual([]);
  });

  test('stop when the last listener leaves', async () => {
    const { id, clients } = await meet(2);
    const [ada, bob] = clients as [StockClient, StockClient];
    const room = ada.actor('room', id);
    const heard: unknown[] = [];
    const leaves = [room.on('said', (text) => heard.push(text)), room.on('counted', (count) => heard.push(count))];
    await settled(room);
    await bob.actor('room', id).call('say', 'one');
    leaves[0]!();
    await bob.actor('room', id).call('say', 'two');
    await settled(room);
    leaves[1]!();
    await settled(room);
    const from = ada.frames.length;
    await bob.actor('room', id).call('say', 'three');
    await settled(room);
    expect(kinds(ada.frames.slice(from))).toEqual(['rpc:result']);
    expect(heard).toEqual(['one', { lines: 1 }, { lines: 2 }]);
  });

  test('of the time before a subscription are not told, although the actor keeps a history', async () => {
    const { id, clients } = await meet(2);
    const [ada, bob] = clients as [StockClient, StockClient];
    await bob.actor('room', id).call('say', 'early');
    const heard: unknown[] = [];
    ada.actor('room', id).on('said', (text) => heard.push(text));
    await settled(ada.actor('room', id));
    await bob.actor('room', id).call('say', 'late');
    await settled(ada.actor('room', id));
    expect(heard).toEqual(['late']);
  });
});

describe('a handle', () => {
  test('that two hold keeps its subscriptions until both have given it back', async () => {
    const { id, clients } = await meet(1);
    const [client] = clients as [StockClient];
    const held = [client.actor('room', id), client.actor('room', id)] as const;
    held[0].on('said', () => {});
    held[0].subscribe();
    await settled(held[0]);
    const from = client.sent.length;
    held[0].dispose();
    await settled(held[1]);
    expect(client.sent.slice(from)).toHaveLength(1);
    held[1].dispose();
    await eventually('both are told', () => client.sent.length === from + 3);
    expect(client.sent.slice(-2).map((text) => (JSON.parse(text) as Frame)['type'])).toEqual([
      'event:unsub',
      'state:unsub',
    ]);
  });

  test('that is given back and taken again in the same tick loses nothing', async () => {
    const { id, clients } = await meet(1);
    const [client] = clients as [StockClient];
    const room = client.actor('room', id);
    room.subscribe();
    room.dispose();
    expect(client.actor('room', id)).toBe(room);
    await room.call('say', 'still here');
    expect(room.state).toMatchObject({ lines: ['still here'] });
  });
});
