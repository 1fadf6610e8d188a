/** Two gateways and two runtimes as processes of their own, joined by a real nats-server: what clients see of it, which is nothing. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { slotOf } from '../../src/protocol/placement.ts';
import { slots, streams, subjects } from '../../src/transport/nats-names.ts';
import { BaseClient, type Frame } from '../support/base-client.ts';
import { Cluster, type Member } from '../support/cluster.ts';
import { getState, post } from '../support/http.ts';
import { mint } from '../support/token.ts';
import { eventually } from '../support/wait.ts';

let cluster: Cluster;
/** The first one's actors are on one runtime, the second one's on the other. */
let tenants: readonly [string, string];
let gateways: readonly [Member, Member];

beforeAll(async () => {
  cluster = await Cluster.start({ app: 'storm', gatewayArgs: ['--limit', 'sessionGraceMs=1000'] });
  tenants = (await cluster.tenants(2)) as [string, string];
  gateways = cluster.gateways as [Member, Member];
}, 60_000);

afterAll(async () => await cluster.end());

async function connect(gateway: Member, tenant: string, sub = 'ada'): Promise<BaseClient> {
  const client = await BaseClient.connect(gateway.address, { token: await mint({ tenant, sub }), v1: true });
  onTestFinished(() => client.socket.terminate());
  return client;
}

/** Of a tenant's room, as one gateway shows it. */
async function roomOf(gateway: Member, tenant: string, id: string): Promise<Frame> {
  const token = await mint({ tenant, sub: 'looker' });
  return (await getState(gateway.address, 'room', id, { token })).json() as unknown as Frame;
}

test('everybody is healthy and ready, and each slot is owned by one of the runtimes', async () => {
  for (const gateway of gateways) {
    expect([await gateway.status('/health'), await gateway.status('/ready')]).toEqual([200, 200]);
  }
  const records = await Promise.all(Array.from({ length: 64 }, (_, slot) => cluster.slot(slot)));
  expect(new Set(records.map((record) => record?.owner))).toEqual(new Set(cluster.runtimes.map(({ node }) => node)));
});

test('one actor is reached through either gateway, by HTTP and by WebSocket, with a key and without', async () => {
  for (const tenant of tenants) {
    const token = await mint({ tenant });
    const [one, other] = [await connect(gateways[0], tenant), await connect(gateways[1], tenant)];
    const lengths = [
      await one.rpc('ledger', 'one', 'append', { client: 'ada', n: 1 }),
      await other.rpc('ledger', 'one', 'append', { client: 'ada', n: 2 }),
    ];
    for (const [n, { address }] of gateways.entries()) {
      const path = ['ledger', 'one', 'append'];
      const plain = await post(address, path, { token, input: { client: 'http', n } });
      const keyed = await post(address, path, { token, input: { client: 'keyed', n }, key: `k${n}` });
      lengths.push(plain.json().result, keyed.json().result);
    }
    expect(lengths).toEqual([1, 2, 3, 4, 5, 6]);
    for (const { address } of gateways) {
      const { status, headers, json } = await getState(address, 'ledger', 'one', { token });
      expect({ status, etag: headers['etag'], state: json() }).toEqual({
        status: 200,
        etag: expect.any(String),
        state: { entries: ['ada 1', 'ada 2', 'http 0', 'keyed 0', 'http 1', 'keyed 1'] },
      });
    }
  }
});

test('a call that is repeated with its key through the other gateway gets the first outcome and does not run again', async () => {
  const [tenant] = tenants;
  const token = await mint({ tenant });
  const ask = { token, key: 'the-same', input: { client: 'ada', n: 1 } };
  for (const n of [0, 1, 1, 0] as const) {
    const { status, text } = await post(gateways[n].address, ['ledger', 'keyed', 'append'], ask);
    expect([status, text]).toEqual([200, '{"result":1}']);
  }
  const other = await connect(gateways[1], tenant);
  const call = { actor: 'ledger', actorId: 'keyed', method: 'append', key: 'the-same' };
  expect(await other.call({ ...call, input: { client: 'ada', n: 1 } })).toMatchObject({ outcome: 'ok', result: 1 });
  expect(await other.call({ ...call, input: { client: 'ada', n: 2 } })).toMatchObject({ code: 'KEY_REUSED' });
});

test('errors keep their codes', async () => {
  const token = await mint({ tenant: tenants[1] });
  const codes = [];
  for (const [type, method, input] of [
    ['nobody', 'append', {}],
    ['ledger', 'nothing', {}],
    ['ledger', 'append', { client: 7 }],
  ] as const) {
    const { status, json } = await post(gateways[0].address, [type, 'errors', method], { token, input });
    codes.push([status, json().error?.code]);
  }
  expect(codes).toEqual([
    [404, 'UNKNOWN_ACTOR'],
    [404, 'UNKNOWN_METHOD'],
    [400, 'INVALID'],
  ]);
});

test('patches and events reach subscribers of both gateways, once and in order', async () => {
  for (const tenant of tenants) {
    const clients = [await connect(gateways[0], tenant, 'ada'), await connect(gateways[1], tenant, 'bob')];
    for (const client of clients) {
      client.send({ type: 'event:sub', actor: 'room', actorId: 'talk' });
      await client.subscribe('room', 'talk');
    }
    for (let n = 1; n <= 10; n += 1) await clients[n % 2]!.rpc('room', 'talk', 'say', { client: 'x', n });
    for (const client of clients) {
      const said = (frame: Frame) => frame.type === 'event' && frame['event'] === 'said';
      await client.until((frame) => said(frame) && (frame['payload'] as { n: number }).n === 10);
      expect(client.frames.filter(said).map((frame) => (frame['payload'] as { n: number }).n)).toEqual([
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
      ]);
      const counts = () =>
        client.frames
          .filter(({ type }) => type === 'state:patch')
          .flatMap((frame) => frame['patches'] as { path: string; value: unknown }[])
          .filter(({ path }) => path === '/count')
          .map(({ value }) => value);
      await eventually('the last patch is there', () => counts().at(-1) === 10);
      expect(counts()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }
    // What was for its caller alone came to its caller alone.
    const whispers = clients.map((client) => client.frames.filter(({ event }) => event === 'whispered').length);
    expect(whispers).toEqual([5, 5]);
  }
});

test('who is present is seen through either gateway, and who left as well', async () => {
  const [tenant] = tenants;
  const one = await connect(gateways[0], tenant, 'ada');
  const other = await connect(gateways[1], tenant, 'bob');
  await one.rpc('room', 'presence', 'look');
  await other.rpc('room', 'presence', 'look');
  const online = async (gateway: Member) =>
    Object.values((await roomOf(gateway, tenant, 'presence'))['online'] as Record<string, { name: string }>)
      .map(({ name }) => name)
      .filter((name) => name !== 'looker')
      .toSorted();
  for (const gateway of gateways) expect(await online(gateway)).toEqual(['ada', 'bob']);
  await one.close();
  for (const gateway of gateways)
    await eventually('ada has left', async () => (await online(gateway)).join() === 'bob', 15_000);
  const visits = (await roomOf(gateways[1], tenant, 'presence'))['visits'] as string[];
  expect(visits.filter((visit) => visit === `-${one.clientId}`)).toHaveLength(1);
});

test('a client that comes back through the other gateway is the same client, and never left', async () => {
  const [, tenant] = tenants;
  const before = await connect(gateways[0], tenant);
  await before.rpc('room', 'moving', 'look');
  const { resumeToken } = before.frames[0]!;
  before.socket.terminate();
  const leftMs = performance.now() + 1500;
  const after = await connect(gateways[1], tenant);
  const from = after.frames.length;
  after.send({ type: 'hello', resumeToken });
  const welcome = await after.until(({ type }) => type === 'welcome', from);
  expect(welcome).toMatchObject({ clientId: before.clientId, resumed: true });
  expect(await after.rpc('room', 'moving', 'look')).toBe(0);
  // Longer than a session waits for its client.
  await eventually('the session would have ended', () => performance.now() > leftMs);
  expect((await roomOf(gateways[0], tenant, 'moving'))['visits']).toEqual([`+${before.clientId}`]);
  // And its new connection is told what is said.
  const other = await connect(gateways[0], tenant, 'bob');
  after.send({ type: 'event:sub', actor: 'room', actorId: 'moving' });
  await after.settled('room', 'moving');
  await other.rpc('room', 'moving', 'say', { client: 'bob', n: 1 });
  await after.until(({ event }) => event === 'said');
});

test('a frame that no gateway wrote is put aside for people, and the tenants of its slot are served as before', async () => {
  const [tenant] = tenants;
  const token = await mint({ tenant });
  const slot = slotOf(tenant, slots);
  const manager = await cluster.nc.jetstreamManager();
  const increment = async () =>
    (await post(gateways[0].address, ['ledger', 'dead', 'append'], { token, input: { client: 'x', n: 1 } })).json();
  expect(await increment()).toEqual({ result: 1 });
  const letters = ['', 'nonsense', '1 gatewayzz 1 1 5\nnot JSON', '1 gatewayzz 1 2 5\n[[99,1,2]]'];
  for (const letter of letters) cluster.nc.publish(subjects.calls(slot), letter);
  await eventually(
    'they are dead letters',
    async () => (await manager.streams.info(streams.dead)).state.messages === letters.length,
    20_000,
  );
  const { header, subject } = await manager.streams.getMessage(streams.dead, { seq: 1 });
  expect([subject, header.get('Fermata-Kind'), header.get('Fermata-Reason')]).toEqual([
    subjects.dead(slot),
    'unreadable',
    expect.stringMatching(/./),
  ]);
  expect(await increment()).toEqual({ result: 2 });
  // Nothing of it waits any more.
  await eventually('the queue is empty', async () => (await manager.streams.info(streams.calls)).state.messages === 0);
});

test('a tenant never sees what another has under the same name', async () => {
  const clients = [];
  for (const [n, tenant] of tenants.entries()) clients.push(await connect(gateways[n as 0 | 1], tenant));
  const [one, other] = clients as [BaseClient, BaseClient];
  await other.subscribe('room', 'shared');
  const from = other.frames.length;
  await one.rpc('room', 'shared', 'say', { client: 'x', n: 1 });
  expect(await other.rpc('room', 'shared', 'look')).toBe(0);
  expect((await other.settled('room', 'shared', from)).filter(({ type }) => type !== 'rpc:result')).toEqual([]);
});
