/** Two tenants on one server: neither can see, touch or disturb the other, whatever its words look like. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BaseClient } from '../support/base-client.ts';
import { getState, post, send } from '../support/http.ts';
import type { ServerProcess } from '../support/server.ts';
import { Stage } from '../support/stage.ts';
import { mint } from '../support/token.ts';

const stage = new Stage();
afterAll(() => stage.end());

let server: ServerProcess;
let acme: BaseClient;
let bolt: BaseClient;
let acmeToken: string;
let boltToken: string;

beforeAll(async () => {
  server = await stage.serve({ app: 'probe', args: ['--shards', '2'] });
  acme = await stage.connect(server, { tenant: 'acme', v1: true });
  bolt = await stage.connect(server, { tenant: 'bolt', v1: true });
  acmeToken = await mint({ tenant: 'acme' });
  boltToken = await mint({ tenant: 'bolt' });
});

async function valueOf(token: string, id: string): Promise<unknown> {
  const { status, json } = await getState(server.address, 'probe', id, { token });
  expect(status).toBe(200);
  return (json() as { value: number }).value;
}

const strange = [
  'a/b',
  '..',
  '.',
  '../../bolt',
  '../bolt/tenant.db',
  'bolt:probe',
  'probe/other',
  'bolt',
  '/etc/passwd',
  '%2e%2e%2fbolt',
  '%00',
  'probe%0a',
  "'; DROP TABLE actors; --",
  ' spaces around ',
  'caf\u00e9',
  'cafe\u0301',
  '\ufb01le',
  'file',
  'А-cyrillic',
  'A-latin',
  '𝕌𝕟𝕚𝕔𝕠𝕕𝕖 🎻',
  'CON',
  '*',
  '>',
  '[1,2]',
  '{"tenant":"bolt"}',
  '__proto__',
  'constructor',
  '€'.repeat(100),
  'x'.repeat(256),
];

test('every strange id is an actor of its own, in each tenant', async () => {
  for (const [n, id] of strange.entries()) {
    await acme.rpc('probe', id, 'set', n + 1);
    await bolt.rpc('probe', id, 'set', -n - 1);
  }
  for (const [n, id] of strange.entries()) {
    expect([id, await valueOf(acmeToken, id)]).toEqual([id, n + 1]);
    expect([id, await valueOf(boltToken, id)]).toEqual([id, -n - 1]);
  }
});

test('the same ids over HTTP are the same actors', async () => {
  for (const id of strange) {
    const { status } = await post(server.address, ['probe', id, 'announce'], { token: acmeToken, input: 4711 });
    expect([id, status]).toEqual([id, 200]);
    expect(await acme.subscribe('probe', id)).toMatchObject({ value: 4711 });
  }
});

test.each([
  ['a line break', 'a\r\nb'],
  ['NUL', 'a\u0000b'],
  ['an escape sequence', '\u001b[31m'],
  ['a line separator', 'a\u2028b'],
  ['half of a surrogate pair', 'a\ud800b'],
  ['300 characters', 'x'.repeat(300)],
  ['nothing', ''],
])('an id of %s is refused', async (_, id) => {
  const { outcome, code, error } = await acme.call({ actor: 'probe', actorId: id, method: 'nothing' });
  expect({ outcome, code }).toEqual({ outcome: 'rejected', code: 'MALFORMED' });
  expect(error).toMatch(/^actorId must /);
  if (!id.isWellFormed()) return;
  const answer = await post(server.address, ['probe', id, 'nothing'], { token: acmeToken });
  expect([400, 404]).toContain(answer.status);
  expect(await post(server.address, ['probe', 'fine', 'nothing'], { token: acmeToken })).toMatchObject({ status: 200 });
});

describe('an id in a path', () => {
  test.each(['%2e%2e%2f%2e%2e%2fbolt', '..%2fbolt', 'bolt%2Fprobe', '%252e%252e'])(
    'that says %s stays one id of its own tenant',
    async (encoded) => {
      await bolt.rpc('probe', decodeURIComponent(encoded), 'set', 1);
      const path = `/v1/actors/probe/${encoded}/announce`;
      expect(await send(server.address, 'POST', path, { token: acmeToken, input: 2 })).toMatchObject({ status: 200 });
      expect(await valueOf(boltToken, decodeURIComponent(encoded))).toBe(1);
      expect(await valueOf(acmeToken, decodeURIComponent(encoded))).toBe(2);
    },
  );

  test.each(['/v1/actors/probe/../../bolt/set', '/v1/actors/../probe/x/set', '/v1/actors//probe/x/set'])(
    'cannot climb: %s is no route',
    async (path) => {
      const { status } = await send(server.address, 'POST', path, { token: acmeToken, input: 1 });
      expect(status).toBe(404);
    },
  );

  test.each(['%', '%zz', '%ff%fe'])('with the broken escape %s is refused', async (encoded) => {
    const { status } = await send(server.address, 'POST', `/v1/actors/probe/${encoded}/nothing`, { token: acmeToken });
    expect(status).toBe(400);
  });
});

test('no field, header or query names a tenant', async () => {
  await bolt.rpc('probe', 'mine', 'set', 7);
  acme.send({
    type: 'rpc',
    id: 'f1',
    actor: 'probe',
    actorId: 'mine',
    method: 'set',
    input: 13,
    tenant: 'bolt',
    tenantId: 'bolt',
  });
  await acme.until((frame) => frame['id'] === 'f1');
  await send(server.address, 'POST', '/v1/actors/probe/mine/announce?tenant=bolt', {
    token: acmeToken,
    input: 14,
    headers: { 'x-tenant': 'bolt', 'x-tenant-id': 'bolt', 'x-fermata-tenant': 'bolt' },
  });
  expect(await valueOf(boltToken, 'mine')).toBe(7);
  expect(await valueOf(acmeToken, 'mine')).toBe(14);
});

test('subscriptions hear nothing of the other tenant', async () => {
  await bolt.subscribe('probe', 'shared');
  bolt.send({ type: 'event:sub', actor: 'probe', actorId: 'shared' });
  const from = bolt.frames.length;
  for (let n = 1; n <= 20; n += 1) await acme.rpc('probe', 'shared', 'announce', n);
  await acme.rpc('probe', 'shared', 'whisper', { text: 'psst', to: [bolt.clientId] });
  await acme.rpc('probe', 'shared', 'whisper', { text: 'psst', except: acme.clientId });
  expect(await bolt.settled('probe', 'shared', from)).toEqual([]);
  expect(await valueOf(boltToken, 'shared')).toBe(0);
});

test('presence holds the clients of the own tenant only', async () => {
  await bolt.rpc('visited', 'lobby', 'who');
  expect(await acme.rpc('visited', 'lobby', 'who')).toEqual([acme.clientId]);
  expect(await bolt.rpc('visited', 'lobby', 'who')).toEqual([bolt.clientId]);
});

test('a handler learns the tenant of the token', async () => {
  expect(await acme.rpc('visited', 'lobby', 'me')).toMatchObject({ tenant: 'acme', userId: 'ada' });
  expect(await bolt.rpc('visited', 'lobby', 'me')).toMatchObject({ tenant: 'bolt', userId: 'ada' });
});

test('the same key stands for one call in each tenant', async () => {
  const call = { actor: 'probe', actorId: 'keyed', method: 'announce', key: 'k1' };
  expect(await acme.call({ ...call, input: 1 })).toMatchObject({ outcome: 'ok', result: 1 });
  expect(await bolt.call({ ...call, input: 2 })).toMatchObject({ outcome: 'ok', result: 2 });
  expect(await acme.call({ ...call, input: 1 })).toMatchObject({ outcome: 'ok', result: 1 });
  const http = await post(server.address, ['probe', 'keyed', 'announce'], { token: boltToken, key: 'k1', input: 2 });
  expect(http.json()).toEqual({ result: 2 });
  expect(await valueOf(acmeToken, 'keyed')).toBe(1);
});

test.each(['', 'Acme', '../bolt', 'a/b', 'a.b', 'x'.repeat(64), 'bolt\u0000', 'bölt', null, 7, ['bolt'], { bolt: 1 }])(
  'a token for the tenant %j opens nothing',
  async (tenant) => {
    const token = await mint({ tenant: tenant as string });
    expect(await getState(server.address, 'probe', 'x', { token })).toMatchObject({ status: 401 });
  },
);

test('each tenant has one folder, and nothing else was made', async () => {
  expect((await server.term()).code).toBe(0);
  expect(readdirSync(join(server.dataDir, 'tenants')).sort()).toEqual(['acme', 'bolt']);
  expect(readdirSync(server.dataDir).filter((name) => !['LOCK', 'journal', 'tenants'].includes(name))).toEqual([]);
});
