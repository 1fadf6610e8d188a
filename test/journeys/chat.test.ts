/** The example that people try first: two clients chat, one of them with the shipped client library, across a kill -9. */
import { afterEach, expect, test } from 'vitest';
import type { app } from '../../examples/app.ts';
import { createClient } from '../../src/client/client.ts';
import type { ServerProcess } from '../support/server.ts';
import { freePort, Stage } from '../support/stage.ts';
import { mint } from '../support/token.ts';
import { eventually } from '../support/wait.ts';

interface Room {
  readonly messages: readonly { from: string; text: string; at: number }[];
  readonly online: Readonly<Record<string, { name: string }>>;
}

function namesIn({ online }: Pick<Room, 'online'>): string[] {
  return Object.values(online)
    .map(({ name }) => name)
    .sort();
}

let stage = new Stage();
afterEach(async () => {
  await stage.end();
  stage = new Stage();
});

async function shipped(server: ServerProcess, sub: string) {
  return createClient<typeof app>({ url: server.address, token: await mint({ sub }) });
}

test('two people chat in a room, one with each kind of client', async () => {
  const server = await stage.serve({ app: 'examples/chat.ts' });
  const ada = await stage.connect(server, { sub: 'ada' });
  const bob = await shipped(server, 'bob');
  try {
    await ada.subscribe('chat', 'lobby');
    ada.send({ type: 'event:sub', actor: 'chat', actorId: 'lobby' });
    const heard: string[] = [];
    const room = bob.chat('lobby');
    room.on('message', ({ from, text }) => heard.push(`${from}: ${text}`));
    room.state.subscribe(() => undefined);
    await eventually('both are online', () => Object.keys(room.state.get()?.online ?? {}).length === 2);

    await ada.rpc('chat', 'lobby', 'sendMessage', { text: 'hello' });
    await room.sendMessage({ text: 'hi ada' });
    await eventually('both messages were heard', () => heard.length === 2);
    expect(heard).toEqual(['ada: hello', 'bob: hi ada']);
    const events = () => ada.frames.filter(({ type }) => type === 'event').map((frame) => frame['payload']);
    await eventually('ada heard both as well', () => events().length === 2);
    expect(events()).toEqual([
      { from: 'ada', text: 'hello', at: expect.any(Number) },
      { from: 'bob', text: 'hi ada', at: expect.any(Number) },
    ]);
    await eventually('the state follows', () => room.state.get()?.messages.length === 2);
    await expect(room.sendMessage({ text: '   ' })).rejects.toThrow(/Validation failed for sendMessage/);
  } finally {
    bob.connection.close();
  }
});

test('after a kill -9 every acknowledged message is there, and nobody who is not', async () => {
  const before = await stage.serve({ app: 'examples/chat.ts' });
  const ghosts = await Promise.all(['gil', 'gus'].map((sub) => stage.connect(before, { sub })));
  for (let n = 0; n < 10; n += 1) {
    for (const ghost of ghosts) await ghost.rpc('chat', 'lobby', 'sendMessage', { text: `boo ${n}` });
  }
  const full = (await ghosts[0]!.subscribe('chat', 'lobby')) as Room;
  expect(namesIn(full)).toEqual(['gil', 'gus']);
  await before.kill9();

  const after = await stage.serve({ app: 'examples/chat.ts', dataDir: before.dataDir });
  const ada = await stage.connect(after, { sub: 'ada' });
  const room = (await ada.subscribe('chat', 'lobby')) as Room;
  expect(room.messages).toEqual(full.messages);
  expect(room.online).toEqual({ [ada.clientId]: { name: 'ada' } });
});

test('a client whose server was killed finds back, with its subscriptions, to the new one', async () => {
  const args = ['--port', await freePort()];
  const before = await stage.serve({ app: 'examples/chat.ts', args });
  const bob = await shipped(before, 'bob');
  try {
    const room = bob.chat('lobby');
    room.state.subscribe(() => undefined);
    await room.sendMessage({ text: 'before' });
    await eventually('it is seen', () => room.state.get()?.messages.length === 1);
    await before.kill9();
    const after = await stage.serve({ app: 'examples/chat.ts', dataDir: before.dataDir, args });
    const ada = await stage.connect(after, { sub: 'ada' });
    await ada.rpc('chat', 'lobby', 'sendMessage', { text: 'after' });
    await eventually('both messages are seen', () => room.state.get()?.messages.length === 2, 20_000);
    expect(room.state.get()?.messages.map(({ text }) => text)).toEqual(['before', 'after']);
    await eventually('each is online once', () => Object.keys(room.state.get()?.online ?? {}).length === 2);
    expect(namesIn(room.state.get()!)).toEqual(['ada', 'bob']);
  } finally {
    bob.connection.close();
  }
});

test('a room keeps its last 200 messages', async () => {
  const server = await stage.serve({ app: 'examples/chat.ts' });
  const ada = await stage.connect(server, { sub: 'ada' });
  await Promise.all(Array.from({ length: 230 }, (_, n) => ada.rpc('chat', 'lobby', 'sendMessage', { text: `${n}` })));
  const { messages } = (await ada.subscribe('chat', 'lobby')) as Room;
  expect(messages.map(({ text }) => text)).toEqual(Array.from({ length: 200 }, (_, n) => `${n + 30}`));
});
