/** What `fermata status` says of a cluster, from made-up pictures of one, and from a real NATS with records in it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { needsOf, type NodeAnswer, rangesOf, statusText } from '../../src/cli/status-report.ts';
import type { ClusterStatus, NodeStatus, SlotStatus } from '../../src/cluster/cluster-status.ts';
import { slots as slotCount } from '../../src/transport/nats-names.ts';
import { dial, ensureOn, nodeRecord, writeRecord } from '../cluster/fixtures.ts';
import { NatsServer } from '../support/nats-server.ts';
import { fermata, newFolder } from './command-fixture.ts';

const ann = 'nodeaaaaaaaa';
const ben = 'nodebbbbbbbb';
const nowMs = 1_800_000_000_000;

function nodeOf(id: string, more: Partial<NodeStatus> = {}): NodeStatus {
  const runtime = {
    kind: 'runtime',
    id,
    version: '0.1.0',
    host: 'one',
    shards: 3,
    slots: [],
    load: 7,
    sinceMs: nowMs - 60_000,
    state: 'ready',
  } as const;
  return { id, state: 'up', epoch: 2, leaseMs: 10_000, silentMs: 1000, slots: 32, slotsWithData: 1, runtime, ...more };
}

function pictureOf(
  more: Partial<ClusterStatus> = {},
  slotMore: Record<number, Partial<SlotStatus>> = {},
): ClusterStatus {
  return {
    nodes: [nodeOf(ann), nodeOf(ben)],
    slots: Array.from({ length: slotCount }, (_, slot) => ({
      slot,
      owner: slot < 32 ? ann : ben,
      epoch: 1,
      hasData: slot === 40,
      backlog: 0,
      ...slotMore[slot],
    })),
    gateways: [],
    calls: { messages: 0, bytes: 0 },
    dead: { messages: 0, bytes: 0 },
    ...more,
  };
}

const problems = (status: ClusterStatus, answers: readonly NodeAnswer[] = []) =>
  needsOf(status, answers).map(({ problem, advice }) => `${problem}: ${advice}`);

describe('what needs a person', () => {
  test('is nothing while every slot has an owner that is up', () => {
    expect(problems(pictureOf())).toEqual([]);
  });

  test('is a slot with data whose owner is away, and the way to give it up', () => {
    const status = pictureOf({ nodes: [nodeOf(ann), nodeOf(ben, { state: 'away', silentMs: 20_000 })] });
    expect(problems(status)).toEqual([
      `slot 40 with data of node ${ben}, which is away (20 s ago): start it again with its data directory; when that is lost for good: fermata move --slot 40 --to <node> --abandon-data`,
    ]);
  });

  test('is no node that stopped a moment ago, but one that stays away', () => {
    const stopped = (silentMs: number) =>
      pictureOf({ nodes: [nodeOf(ann), nodeOf(ben, { state: 'stopped', silentMs })] });
    expect(problems(stopped(5000))).toEqual([]);
    expect(problems(stopped(90_000))).toHaveLength(1);
  });

  test('is no node that is away without data: others take its slots by themselves', () => {
    const nodes = [nodeOf(ann), nodeOf(ben, { state: 'away', silentMs: 20_000 })];
    expect(problems(pictureOf({ nodes }, { 40: { hasData: false } }))).toEqual([]);
  });

  test('is a slot of nobody, or nobody at all', () => {
    expect(problems(pictureOf({}, { 3: { owner: null }, 4: { owner: null } }))[0]).toContain(
      'slots 3-4 without an owner',
    );
    expect(problems(pictureOf({ nodes: [] }))[0]).toContain('no runtime is up');
  });

  test('is data that two nodes have, a node that does not answer, and a dead letter', () => {
    const answers: NodeAnswer[] = [
      { id: ann, conflicts: [{ slot: 40, owner: ben }], error: undefined },
      { id: ben, conflicts: [], error: `node ${ben} did not answer within 2000 ms (status)` },
    ];
    expect(problems(pictureOf({ dead: { messages: 2, bytes: 10 } }), answers)).toEqual([
      expect.stringContaining(`data of slot 40 on node ${ann} is not served`),
      expect.stringContaining('did not answer within 2000 ms (status), but renews its lease'),
      '2 dead letters: look at them: fermata dlq list',
    ]);
  });
});

test('the tables name slots as ranges, by owner', () => {
  const text = statusText(pictureOf({}, { 5: { backlog: 1200, epoch: 9 } }), [], nowMs);
  expect(text).toContain(`0-31   ${ann}  1-9     none       1,200`);
  expect(text).toContain(`32-63  ${ben}  1       40         0`);
  expect(text).toMatch(new RegExp(`^${ann}  up     held, 9.0 s left  32 +1 +3 +7 +0.1.0 +one +60 s ago$`, 'm'));
  expect(text).toContain('nothing needs you');
});

test.each([
  [[], ''],
  [[5], '5'],
  [[0, 1, 2, 5, 7, 8], '0-2, 5, 7-8'],
  [[0, 2, 4, 6, 8, 9], '0, 2 … 8, 9'],
  [[1, 3, 5], '1, 3, 5'],
  [[0, 3, 6, 9, 10, 11, 20], '0, 3 … 9, 10-11, 20'],
])('%j is written %s', (numbers, text) => {
  expect(rangesOf(numbers)).toBe(text);
});

describe('the command', () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await NatsServer.start();
  });
  afterAll(async () => {
    await server.close();
  });

  test('says that nobody was ever there, and exits with 68', async () => {
    const ended = await fermata(['status', '--nats-url', server.url]);
    expect(ended).toMatchObject({
      exitCode: 68,
      err: expect.stringContaining('no runtime of Fermata was ever started') as string,
    });
  });

  test('shows what the bucket says, also as JSON, and exits with 1 when a person is needed', async () => {
    const nc = await dial(server);
    await ensureOn(nc)();
    await writeRecord(nc, { node: ann }, nodeRecord({ atMs: Date.now() - 60_000 }));
    await writeRecord(nc, { slot: 7 }, { owner: ann, epoch: 4, hasData: true });
    await nc.close();
    const ended = await fermata(['status', '--json'], { NATS_URL: server.url });
    expect(ended.exitCode).toBe(1);
    expect(JSON.parse(ended.out)).toMatchObject({
      nodes: [{ id: ann, state: 'away', slots: 1, slotsWithData: 1 }],
      slots: expect.arrayContaining([{ slot: 7, owner: ann, epoch: 4, hasData: true, backlog: 0 }]) as unknown,
      needs: [{ problem: 'no runtime is up' }, { problem: expect.stringContaining('slot 7 with data') as string }],
    });
  });

  test('finds the nats-server that a data directory manages', async () => {
    const dataDir = newFolder();
    mkdirSync(join(dataDir, 'nats'));
    const conf = { host: '0.0.0.0', port: server.port, authorization: { user: 'fermata', password: 'not asked for' } };
    writeFileSync(join(dataDir, 'nats', 'nats.conf'), `# written\n${JSON.stringify(conf)}\n`);
    expect((await fermata(['status', '--data-dir', dataDir])).out).toContain(ann);
  });

  test('says what is missing when no NATS is named, and when none answers', async () => {
    const unnamed = await fermata(['status', '--data-dir', newFolder()]);
    expect(unnamed).toMatchObject({ exitCode: 78, err: expect.stringContaining('--nats-url') as string });
    const unheard = await fermata(['status', '--nats-url', 'nats://127.0.0.1:1']);
    expect(unheard).toMatchObject({ exitCode: 68, err: expect.stringContaining('nobody answers there') as string });
  });
});
