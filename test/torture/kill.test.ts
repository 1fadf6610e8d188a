/**
 * A short run of the kill test, and the proof that it would notice: three planted bugs, each of which it must find.
 * `npm run torture` runs it for longer. `SEED=…` repeats the choices of a run.
 */
import { expect, onTestFinished, test } from 'vitest';
import { Stage } from '../support/stage.ts';
import { clean, plantPath, seed, verdict } from './expectations.ts';
import { runKillRounds } from './kill-rounds.ts';

function dataDir(): string {
  const stage = new Stage();
  onTestFinished(() => stage.end());
  return stage.dataDir();
}

test('six kills under load lose no acknowledged call and double none', { timeout: 240_000 }, async () => {
  const report = await runKillRounds({ seed, rounds: 6, dataDir: dataDir() });
  expect(verdict(report)).toEqual(clean(6));
  // A kill of an idle server would prove nothing.
  expect(report.acknowledged).toBeGreaterThan(1000);
  expect(report.unknown).toBeGreaterThan(10);
  expect(report.evictions).toBeGreaterThan(0);
});

test.each([
  ['acknowledges before it commits', 'ack-before-commit', ['lost']],
  ['keeps outcomes of keys outside the transaction', 'dedupe-outside', ['doubled', 'changed']],
  ['skips a row of the journal now and then', 'skipped-row', ['lost', 'doubled', 'changed']],
] as const)('a server that %s is found out', { timeout: 120_000 }, async (_, plant, kinds) => {
  const report = await runKillRounds({
    seed,
    rounds: 10,
    dataDir: dataDir(),
    plant: plantPath(plant),
    untilFound: true,
  });
  const found = report.violations.map(({ kind }) => kind);
  expect({
    seed,
    rounds: report.rounds,
    found: found.some((kind) => (kinds as readonly string[]).includes(kind)),
  }).toEqual({
    seed,
    rounds: expect.any(Number),
    found: true,
  });
});
