/** The proof that the rounds of faults would notice a caller that is left waiting. The faults: test/journeys/supervision.test.ts. */
import { expect, onTestFinished, test } from 'vitest';
import { Stage } from '../support/stage.ts';
import { plantPath, seed } from './expectations.ts';
import { runFaultRounds } from './fault-rounds.ts';

test('a server that forgets the callers of a dead shard is found out', { timeout: 120_000 }, async () => {
  const stage = new Stage();
  onTestFinished(() => stage.end());
  const plant = plantPath('forgotten-callers');
  const report = await runFaultRounds(['exit'], { seed, rounds: 3, dataDir: stage.dataDir(), plant, untilFound: true });
  expect({ seed, unavailable: report.unavailable > 0 }).toEqual({ seed, unavailable: true });
});
