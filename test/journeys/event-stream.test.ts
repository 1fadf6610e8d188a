/** Events over HTTP through the shipped command: as `curl -N` and services read them, with the server dying and stopping meanwhile. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { EventReader, type ReaderOptions } from '../support/event-reader.ts';
import { getState, post } from '../support/http.ts';
import { needs } from '../support/needs.ts';
import { Nginx } from '../support/nginx.ts';
import type { ServerProcess } from '../support/server.ts';
import { freePort, Stage } from '../support/stage.ts';
import { mint } from '../support/token.ts';
import { eventually } from '../support/wait.ts';

const stage = new Stage();
let server: ServerProcess;
beforeAll(async () => {
  server = await stage.serve({ app: 'stock' });
});
afterAll(() => stage.end());

async function read(address: string, path: readonly [string, string], ask: ReaderOptions = {}): Promise<EventReader> {
  const reader = await EventReader.open(address, path, { token: await mint(), ...ask });
  onTestFinished(() => reader.close());
  return reader;
}

async function say(
  address: string,
  room: string,
  input: string,
  who: Parameters<typeof mint>[0] = {},
): Promise<number> {
  return (await post(address, ['room', room, 'say'], { token: await mint(who), input })).status;
}

const saidBy = (reader: EventReader): unknown[] =>
  reader.events.filter(({ event }) => event === 'said').map(({ data }) => data);

test('what actors emit arrives as they emit it, and who reads is present', async () => {
  const reader = await read(server.address, ['room', 'r/1']);
  const { clientId } = (await reader.next('fermata:open')).data as { clientId: string };
  expect(await say(server.address, 'r/1', 'hi\nthere')).toBe(200);
  expect(await reader.next('said')).toMatchObject({ data: 'hi\nthere', id: expect.stringMatching(/^[\w-]+:\d+$/) });
  expect(await reader.next()).toMatchObject({ event: 'counted', data: { lines: 1 } });
  await post(server.address, ['room', 'r/1', 'tell'], {
    token: await mint(),
    input: { text: 'for you', to: clientId },
  });
  expect(await reader.next('said')).toMatchObject({ data: 'for you' });
  const online = async (): Promise<unknown> =>
    (await getState(server.address, 'room', 'r/1', { token: await mint() })).json()['online'];
  expect(await online()).toEqual([clientId]);
  reader.close();
  await eventually('its onDisconnect', async () => ((await online()) as string[]).length === 0);
});

test('state comes as a snapshot and patches when it is asked for, also of an actor without events', async () => {
  const token = await mint();
  const reader = await read(server.address, ['list', 'l'], { query: '?state=1' });
  expect(await reader.next('fermata:state')).toMatchObject({ data: { state: [] } });
  await post(server.address, ['list', 'l', 'put'], { token, input: [7] });
  expect(await reader.next()).toMatchObject({
    event: 'fermata:patch',
    data: { patches: [{ op: 'add', path: '/0', value: 7 }] },
  });
});

test('tenants do not hear of each other', async () => {
  const [ours, theirs] = await Promise.all(
    ['acme', 'other'].map(async (tenant) =>
      read(server.address, ['room', 'shared'], { token: await mint({ tenant }) }),
    ),
  );
  await say(server.address, 'shared', 'from acme');
  await say(server.address, 'shared', 'from other', { tenant: 'other' });
  await ours!.next('said');
  await theirs!.next('said');
  await say(server.address, 'shared', 'end');
  await ours!.next('said');
  expect([saidBy(ours!), saidBy(theirs!)]).toEqual([['from acme', 'end'], ['from other']]);
});

test.each([
  ['without a token', ['room', 'r'], { token: '' }, 401, 'UNAUTHORIZED'],
  ['that middleware refuses', ['vault', 'somebody-else'], {}, 403, 'FORBIDDEN'],
  ['of an unknown actor', ['nobody', 'r'], {}, 404, 'UNKNOWN_ACTOR'],
  ['of an actor without events', ['list', 'r'], {}, 404, 'UNKNOWN_ROUTE'],
  ['of no legal id', ['room', '\u0000'], {}, 400, 'MALFORMED'],
] as const)('a request %s is refused before it begins', async (_what, path, ask, status, code) => {
  const reader = await read(server.address, path, ask);
  expect([reader.status, (JSON.parse(await reader.body()) as { error: { code: string } }).error.code]).toEqual([
    status,
    code,
  ]);
});

test('authorize decides as it does for a WebSocket', async () => {
  const guarded = await stage.serve({ app: 'guarded' });
  const member = await mint({ claims: { role: 'member' } });
  const statuses = async (token: string): Promise<number[]> =>
    Promise.all(
      ['club', 'ballot', 'board', 'broken'].map(
        async (type) => (await read(guarded.address, [type, 'a'], { token })).status,
      ),
    );
  expect(await statuses(member)).toEqual([200, 200, 200, 403]);
  expect(await statuses(await mint())).toEqual([403, 403, 200, 403]);
});

test('over kill -9 each event comes once and in order to who comes back with the last id', async () => {
  const port = await freePort();
  const serve = { app: 'stock', args: ['--port', port], dataDir: stage.dataDir() };
  let running = await stage.serve(serve);
  const { address } = running;
  const token = await mint();
  // Places mean something from when the tenant has a file.
  await say(address, 'other', 'hello');
  await eventually('the file', () => existsSync(join(serve.dataDir, 'tenants/acme/tenant.db')));
  // From here on nothing may be missed.
  const first = await read(address, ['room', 'r']);
  let lastEventId = await eventually('a place', () => first.lastEventId || undefined);
  first.close();
  const count = 60;
  const heard: unknown[] = [];
  const gaps: string[] = [];
  let streams = 0;
  const writing = (async () => {
    for (let n = 0; n < count; n += 1) {
      await eventually(`call ${n}`, async () => {
        const ask = { token, key: `say-${n}`, input: `${n}` };
        return (await post(address, ['room', 'r', 'say'], ask).catch(() => undefined))?.status === 200;
      });
      if (n % 20 === 10) {
        await running.kill9();
        running = await stage.serve(serve);
      }
    }
  })();
  while (heard.length < count) {
    const reader = await EventReader.open(address, ['room', 'r'], { token, lastEventId }).catch(() => undefined);
    if (reader?.status !== 200) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      continue;
    }
    streams += 1;
    const done = eventually('the last one', () => heard.length + saidBy(reader).length >= count, 60_000);
    done.catch(() => undefined);
    await Promise.race([reader.ended, done]);
    heard.push(...saidBy(reader));
    if (reader.text.includes('fermata:gap')) gaps.push(reader.text);
    lastEventId = reader.lastEventId || lastEventId;
    reader.close();
  }
  await writing;
  expect(streams).toBeGreaterThan(1);
  expect(gaps).toEqual([]);
  expect(heard).toEqual(Array.from({ length: count }, (_, n) => `${n}`));
});

test('a reader that takes nothing is closed, and others go on', async () => {
  const bounded = await stage.serve({ app: 'guarded', args: ['--limit', 'socketBufferBytesMax=65536'] });
  const token = await mint({ claims: { role: 'member' } });
  const slow = await read(bounded.address, ['board', 'b'], { token });
  const other = await read(bounded.address, ['board', 'b'], { token });
  slow.incoming.pause();
  const writes = 300;
  const input = 'x'.repeat(60_000);
  for (let n = 0; n < writes; n += 1) {
    expect((await post(bounded.address, ['board', 'b', 'write'], { token, input })).status).toBe(200);
  }
  slow.incoming.resume();
  expect(await slow.ended).toBe(false);
  expect(slow.events.length).toBeLessThan(writes);
  await eventually('all of them', () => other.events.length === writes + 1);
});

test('SIGTERM ends it with a time to come back, after the events of what was accepted', async () => {
  const stopping = await stage.serve({ app: 'stock' });
  const reader = await read(stopping.address, ['room', 'r']);
  await say(stopping.address, 'r', 'before');
  const exit = await stopping.term();
  expect(exit).toEqual({ code: 0, signal: null });
  expect(await reader.ended).toBe(true);
  expect(saidBy(reader)).toEqual(['before']);
  expect(reader.text).toMatch(/\nretry: \d+\n: deployment\n\n[^]*: restart\n\n$/);
});

describe('behind nginx', () => {
  beforeAll(() => void needs('nginx'), 300_000);

  test('an event arrives while the answer goes on, and its end is passed on', async () => {
    const behind = await stage.serve({ app: 'stock' });
    const { address, ca } = await Nginx.start(stage, { upstreams: [new URL(behind.address).host] });
    const reader = await read(address, ['room', 'n'], { ca });
    expect([reader.status, reader.headers['content-type']]).toEqual([200, 'text/event-stream']);
    for (const text of ['one', 'two']) {
      await say(behind.address, 'n', text);
      expect(await reader.next('said')).toMatchObject({ data: text });
    }
    const again = await read(address, ['room', 'n'], { ca, lastEventId: reader.events[1]!.id });
    expect(await again.next('said')).toMatchObject({ data: 'two' });
    const refused = await read(address, ['nobody', 'n'], { ca });
    expect(refused.status).toBe(404);
    await behind.term();
    expect(await reader.ended).toBe(true);
    expect(reader.text).toMatch(/: restart\n\n$/);
  });
});
