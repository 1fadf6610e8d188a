/** An actor whose state is too large to be written whole with every change, called many times at once. */
import { expect, onTestFinished, test } from 'vitest';
import { Stage } from '../support/stage.ts';
import { eventually } from '../support/wait.ts';

test('many turns of one commit on a large state are found again in its tenant file and after a kill', async () => {
  const stage = new Stage();
  onTestFinished(() => stage.end());
  const args = ['--shards', '1', '--limit', 'keeperDelayMs=20', '--limit', 'actorIdleMs=200'];
  const server = await stage.serve({ app: 'ledger', args });
  const client = await stage.connect(server, { v1: true });
  const entries: string[] = [];
  for (let round = 0; round < 20; round += 1) {
    const some = Array.from({ length: 8 }, (_, n) => `${round}.${n} ${'x'.repeat(60)}`);
    entries.push(...some);
    const replies = await Promise.all(
      some.map((entry) => client.call({ actor: 'list', actorId: 'l', method: 'append', input: { entry } })),
    );
    expect(replies.map(({ result }) => result)).toEqual(some.map((_, n) => round * 8 + n + 1));
  }
  // Lists have no hook that tells; this one is touched at the same time and leaves memory no earlier.
  await client.rpc('counter', 'c', 'increment');
  await eventually('actors leave memory', () => server.logs.some(({ msg }) => msg === 'left memory'));
  expect(await client.rpc('list', 'l', 'entries')).toEqual(entries);
  expect(server.logs.filter(({ level = 0 }) => level >= 50)).toEqual([]);
  await server.kill9();
  const again = await stage.serve({ app: 'ledger', args, dataDir: server.dataDir });
  expect(await (await stage.connect(again)).rpc('list', 'l', 'entries')).toEqual(entries);
});
