/** What each kind of durability says, and what is left of it after a kill -9. */
import { expect, onTestFinished, test } from 'vitest';
import { getState, post } from '../support/http.ts';
import { Stage } from '../support/stage.ts';
import { mint } from '../support/token.ts';

const kinds = ['counter', 'quick', 'fleeting'] as const;

test('replies say what is on disk; kill -9 takes what lived in memory alone', async () => {
  const stage = new Stage();
  onTestFinished(() => stage.end());
  const token = await mint();
  const before = await stage.serve({ app: 'ledger', args: ['--shards', '2'] });
  const client = await stage.connect(before, { v1: true });
  for (let n = 1; n <= 5; n += 1) {
    for (const actor of kinds) {
      const reply = await client.call({ actor, actorId: 'd', method: 'increment' });
      expect(reply).toMatchObject({ outcome: 'ok', result: n, durable: actor === 'counter' });
    }
  }
  const over = async (actor: string): Promise<unknown> =>
    (await post(before.address, [actor, 'h', 'increment'], { token })).json();
  expect(await over('counter')).toEqual({ result: 1 });
  expect(await over('quick')).toEqual({ result: 1, durable: false });
  expect(await over('fleeting')).toEqual({ result: 1, durable: false });

  await before.kill9();
  const after = await stage.serve({ app: 'ledger', dataDir: before.dataDir, args: ['--shards', '2'] });
  const counts = [];
  for (const actor of kinds) {
    const { json } = await getState(after.address, actor, 'd', { token });
    counts.push((json() as { count: number }).count);
  }
  expect(counts).toEqual([5, 5, 0]);
});
