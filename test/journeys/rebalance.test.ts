/** A runtime joins one that owns everything, and gets its share, with a tenant in it, while that tenant's calls go on. */
import { expect, onTestFinished, test } from 'vitest';
import { fermata } from '../cli/command-fixture.ts';
import { Cluster } from '../support/cluster.ts';
import { post } from '../support/http.ts';
import { mint } from '../support/token.ts';

test('a newcomer is given its share of the slots, and every call is answered meanwhile', async () => {
  const cluster = await Cluster.start({ app: 'ledger', gateways: 1, runtimes: 1 });
  onTestFinished(() => cluster.end());
  const tenants = await cluster.tenants(40);
  const add = async (tenant: string): Promise<unknown> => {
    const token = await mint({ tenant });
    return (await post(cluster.gateways[0]!.address, ['counter', 'c', 'increment'], { token })).json().result;
  };
  for (const tenant of tenants) expect(await add(tenant)).toBe(1);
  await cluster.runtime();
  const run = (...words: string[]) => fermata(words, { NATS_URL: cluster.nats.url });
  expect((await run('rebalance', '--dry-run')).err).toBe('32 moves, 8 of them with data');

  const over = new AbortController();
  const calling = (async () => {
    let rounds = 1;
    for (; !over.signal.aborted; rounds += 1) for (const tenant of tenants) expect(await add(tenant)).toBe(rounds + 1);
    return rounds;
  })();
  const ended = await run('rebalance').finally(() => over.abort());
  expect(ended).toMatchObject({ exitCode: 0, out: expect.stringMatching(/moved 32 slots$/) as string });
  const rounds = await calling;
  for (const tenant of tenants) expect(await add(tenant)).toBe(rounds + 1);
  expect((await run('status', '--json')).out).toMatch(/"slots": 32/);
  expect((await run('rebalance', '--dry-run')).out).toContain('nothing to move');
}, 180_000);
