/** A rollout of runtimes and gateways, one process after the other, under clients that do not notice. `CYCLES=10` for a longer look. */
import { expect, test } from 'vitest';
import { runRolloutRounds } from '../torture/rollout-rounds.ts';

const cycles = Number(process.env['CYCLES'] ?? 1);
const clients = 40;

test('runtimes and gateways are restarted in turn: no call fails, none runs twice, and no connection is lost to a runtime', {
  timeout: 60_000 * cycles,
}, async () => {
  const report = await runRolloutRounds({ seed: 1, rounds: cycles, clients });
  expect(report.violations).toEqual([]);
  expect(report.rounds).toBe(cycles);
  // They were really there, and every gateway's clients had to go elsewhere.
  expect(report.acknowledged).toBeGreaterThan(clients * 10 * cycles);
  expect(report.reconnects).toBeGreaterThanOrEqual(clients * cycles);
});
