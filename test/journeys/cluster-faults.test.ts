/** A cluster whose processes are killed and whose NATS is taken away, under load. `npm run torture` does it for longer. */
import { expect, test } from 'vitest';
import { clean, seed, verdict } from '../torture/expectations.ts';
import { runNatsRounds } from '../torture/nats-rounds.ts';
import { runNodeKillRounds } from '../torture/node-kill-rounds.ts';

test('a runtime is killed under load, and once more with nats-server: nothing acknowledged is lost, nothing runs twice', {
  timeout: 120_000,
}, async () => {
  const report = await runNodeKillRounds({ seed, rounds: 2, kinds: ['runtime', 'with nats'] });
  expect(verdict(report)).toEqual(clean(2));
  expect(report.acknowledged).toBeGreaterThan(200);
  // Calls without a key, which nobody may run again.
  expect(report.unknown).toBeGreaterThan(0);
});

test('NATS is killed, gone for a while, frozen, and cut off from a gateway: service goes on by itself when it is back', {
  timeout: 120_000,
}, async () => {
  const report = await runNatsRounds({
    seed,
    rounds: 4,
    faults: ['kill', 'away', 'frozen', 'gateway cut off'],
    times: { awayMs: 4000, frozenMs: 3000, cutMs: 4000 },
  });
  expect(verdict(report)).toEqual(clean(4));
  expect(report.acknowledged).toBeGreaterThan(200);
});
