/**
 * A short storm, and the proof that it would notice: planted bugs, each of which it must find. `npm run torture -- --only
 * chaos` runs the full one, and `--only plants` four more bugs, which take longer to be seen. `SEED=…` repeats the choices of a run.
 */
import { expect, onTestFinished, test } from 'vitest';
import { Stage } from '../support/stage.ts';
import { runChaosRounds } from './chaos-rounds.ts';
import { plantStorm, shortStorm } from './chaos/size.ts';
import { clean, plantPath, seed, verdict } from './expectations.ts';

function dataDir(): string {
  const stage = new Stage();
  onTestFinished(() => stage.end());
  return stage.dataDir();
}

test('clients behind a bad network and a server that is killed lose nothing, see nothing twice and nothing out of order', {
  timeout: 150_000,
}, async () => {
  const report = await runChaosRounds({ seed, rounds: 1, dataDir: dataDir(), size: shortStorm });
  expect(verdict(report)).toEqual(clean(1));
  expect(report.unknown + report.rejected).toBe(0);
  expect(report.kills).toBe(shortStorm.kills);
  // Calm weather would prove nothing.
  expect(report.acknowledged).toBeGreaterThan(200);
  expect(report.events).toBeGreaterThan(500);
  expect(Object.values(report.faults).reduce((sum, times) => sum + times)).toBeGreaterThan(20);
  expect(report.resumed).toBeGreaterThan(0);
  expect(report.anew).toBeGreaterThan(0);
});

test.each([
  ['forgets how a numbered call ended', 'forgotten-numbers'],
  ['skips an event for who comes back', 'skipped-event'],
] as const)('a server that %s is found out', { timeout: 150_000 }, async (_, plant) => {
  const report = await runChaosRounds({
    seed,
    rounds: 4,
    dataDir: dataDir(),
    size: plantStorm,
    plant: plantPath(plant),
    untilFound: true,
  });
  // Which of its marks is seen first is up to the weather.
  const found = report.violations.length > 0;
  expect({ seed, rounds: report.rounds, found }).toEqual({ seed, rounds: expect.any(Number), found: true });
});
