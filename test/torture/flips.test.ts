/**
 * A short run of flipped bits and cut files, and the proof that it would notice: a server whose checks never fail.
 * `npm run torture -- --only flips` runs it for longer. `SEED=…` repeats the choices of a run.
 */
import { expect, onTestFinished, test } from 'vitest';
import { Stage } from '../support/stage.ts';
import { clean, plantPath, seed, verdict } from './expectations.ts';
import { runFlipRounds } from './flip-rounds.ts';

function dataDir(): string {
  const stage = new Stage();
  onTestFinished(() => stage.end());
  return stage.dataDir();
}

test('no flipped bit and no cut file lets a wrong or an older value out', { timeout: 120_000 }, async () => {
  const report = await runFlipRounds({ seed, rounds: 4, roundsPerWorld: 2, dataDir: dataDir() });
  expect(verdict(report)).toEqual(clean(4));
  // A server that was asked nothing would have nothing wrong to say.
  expect(report.acknowledged).toBeGreaterThan(1000);
});

test.each([
  ['checks no checksum', 'unchecked', { where: 'tenant', how: 'flip', worlds: ['stopped'] }, 'changed'],
  ['does not miss the end of a file', 'unmarked', { where: 'journal', how: 'cut', worlds: ['journal'] }, 'lost'],
] as const)('a server that %s is found out', { timeout: 120_000 }, async (_, plant, damage, expected) => {
  const report = await runFlipRounds({
    ...damage,
    seed,
    rounds: 40,
    roundsPerWorld: 40,
    dataDir: dataDir(),
    plant: plantPath(plant),
    untilFound: true,
  });
  const found = report.violations.some(({ kind }) => kind === expected);
  expect({ seed, rounds: report.rounds, found }).toEqual({ seed, rounds: expect.any(Number), found: true });
});
