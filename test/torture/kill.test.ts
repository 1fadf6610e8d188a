/**
 * A short run of the kill test, and the proof that it would notice: three planted bugs, each of which it must find.
 * `npm run torture` runs it for longer. `SEED=…` repeats the choices of a run.
 */
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { Stage } from '../support/stage.ts';
import { runKillRounds } from './kill-rounds.ts';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

function dataDir(): string {
  const stage = new Stage();
  onTestFinished(() => stage.end());
  return stage.dataDir();
}

test('twenty kills under load lose no acknowledged call and double none', { timeout: 240_000 }, async () => {
  const report = await runKillRounds({ seed, rounds: 20, dataDir: dataDir() });
  const { rounds, lost, doubled, changed, unavailable, violations, acknowledged } = report;
  const texts = violations.slice(0, 20).map(({ kind, text }) => `${kind}: ${text}`);
  expect({ seed, rounds, lost, doubled, changed, unavailable, texts }).toEqual({
    seed,
    rounds: 20,
    lost: 0,
    doubled: 0,
    changed: 0,
    unavailable: 0,
    texts: [],
  });
  // A kill of an idle server would prove nothing.
  expect(acknowledged).toBeGreaterThan(1000);
  expect(report.unknown).toBeGreaterThan(20);
  expect(report.evictions).toBeGreaterThan(0);
});

test.each([
  ['acknowledges before it commits', 'ack-before-commit', ['lost']],
  ['keeps outcomes of keys outside the transaction', 'dedupe-outside', ['doubled', 'changed']],
  ['skips a row of the journal now and then', 'skipped-row', ['lost', 'doubled', 'changed']],
] as const)('a server that %s is found out', { timeout: 120_000 }, async (_, plant, kinds) => {
  const module = fileURLToPath(new URL(`plants/${plant}.ts`, import.meta.url));
  const report = await runKillRounds({ seed, rounds: 10, dataDir: dataDir(), plant: module, untilFound: true });
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
