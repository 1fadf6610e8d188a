import { afterAll, beforeAll, expect, test } from 'vitest';
import { dial, ensureOn, nodeRecord, writeRecord } from '../cluster/fixtures.ts';
import { NatsServer } from '../support/nats-server.ts';
import { fermata } from './command-fixture.ts';

const [ann, ben, cat] = ['nodeaaaaaaaa', 'nodebbbbbbbb', 'nodecccccccc'] as const;
let server: NatsServer;
beforeAll(async () => {
  server = await NatsServer.start();
});
afterAll(async () => {
  await server.close();
});

const rebalance = (...words: string[]) => fermata(['rebalance', ...words], { NATS_URL: server.url });

test('a plan is lines to copy, slots without data first, and names nobody who is not up', async () => {
  const nc = await dial(server);
  await ensureOn(nc)();
  // Long enough for a slow machine: nobody renews these.
  const leaseMs = 600_000;
  await writeRecord(nc, { node: ann }, nodeRecord({ leaseMs }));
  expect((await rebalance('--dry-run')).out).toContain('nothing to move');
  for (const node of [ann, ben]) await writeRecord(nc, { node }, nodeRecord({ leaseMs }));
  await writeRecord(nc, { node: cat }, nodeRecord({ state: 'stopped' }));
  for (const slot of [1, 2, 3, 4]) await writeRecord(nc, { slot }, { owner: ann, epoch: 1, hasData: slot !== 3 });
  await nc.close();
  const planned = await rebalance('--dry-run');
  expect(planned).toMatchObject({ exitCode: 0, err: '2 moves, 1 of them with data' });
  expect(planned.out.split('\n')).toEqual([
    `fermata move --slot 3 --to ${ben}  # from ${ann}, without data`,
    `fermata move --slot 1 --to ${ben}  # from ${ann}`,
  ]);
  expect(JSON.parse((await rebalance('--dry-run', '--json')).out)).toEqual([
    { slot: 3, from: ann, to: ben, hasData: false },
    { slot: 1, from: ann, to: ben, hasData: true },
  ]);
});

test('moves stop at the first that fails, with what the owner says', async () => {
  const ended = await rebalance();
  expect(ended).toMatchObject({ exitCode: 1, err: expect.stringContaining(ann) as string });
  expect(ended.out).toBe(`1 of 2: slot 3 to node ${ben}`);
});
