/** A sample of the points at which storage can be killed, and the proof that a loss would be noticed. */
import { expect, onTestFinished, test } from 'vitest';
import { Stage } from '../support/stage.ts';
import { runCrashPoints } from './crash-points.ts';
import { clean, plantPath, seed, verdict } from './expectations.ts';

function dataDir(): string {
  const stage = new Stage();
  onTestFinished(() => stage.end());
  return stage.dataDir();
}

test('eight kills in the middle of writing lose no acknowledged commit', { timeout: 300_000 }, async () => {
  const report = await runCrashPoints({ seed, rounds: 8, dataDir: dataDir() });
  expect(verdict(report)).toEqual(clean(8));
  // Kills before the first commit, or after the last, would prove little.
  expect(report.acknowledged).toBeGreaterThan(8 * 5);
  expect(report.acknowledged).toBeLessThan(8 * 60);
});

test('a journal that forgets too early is found out', { timeout: 300_000 }, async () => {
  const plant = plantPath('early-forget');
  const report = await runCrashPoints({ seed, rounds: 20, dataDir: dataDir(), plant, untilFound: true });
  // A gap in an actor's patches closes it off instead of losing a call: that finds the bug as well.
  expect({ seed, found: report.violations.length > 0 }).toEqual({ seed, found: true });
});
