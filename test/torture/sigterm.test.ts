/** A few stops under load, and the proof that an answer which is not delivered would be noticed. */
import { expect, onTestFinished, test } from 'vitest';
import { Stage } from '../support/stage.ts';
import { clean, plantPath, seed, verdict } from './expectations.ts';
import { runSigtermRounds } from './sigterm-rounds.ts';

function dataDir(): string {
  const stage = new Stage();
  onTestFinished(() => stage.end());
  return stage.dataDir();
}

test('three stops under load deliver every answer and lose nothing', { timeout: 120_000 }, async () => {
  const report = await runSigtermRounds({ seed, rounds: 3, dataDir: dataDir() });
  expect(verdict(report)).toEqual(clean(3));
  expect(report.acknowledged).toBeGreaterThan(500);
  // The signal came while calls were under way.
  expect(report.rejected + report.unknown).toBeGreaterThan(3);
});

test('a server that closes its sockets before its answers left is found out', { timeout: 120_000 }, async () => {
  const plant = plantPath('late-replies');
  const report = await runSigtermRounds({ seed, rounds: 10, dataDir: dataDir(), plant, untilFound: true });
  expect({ seed, doubled: report.doubled > 0 }).toEqual({ seed, doubled: true });
});
