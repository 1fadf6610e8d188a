/**
 * A short run of backups under load, and the proof that it would notice: two ways to make a backup that lacks something.
 * `npm run torture -- --only backups` runs it for longer. `SEED=…` repeats the choices of a run.
 */
import { expect, onTestFinished, test } from 'vitest';
import { Stage } from '../support/stage.ts';
import { type BackupKind, runBackupRounds } from './backup-rounds.ts';
import { clean, plantPath, seed, verdict } from './expectations.ts';

function dataDir(): string {
  const stage = new Stage();
  onTestFinished(() => stage.end());
  return stage.dataDir();
}

const small = { hoardMb: 1, writers: 3 };
const kinds: readonly BackupKind[] = ['kill-server', 'full', 'replace'];

test('backups under load hold what they promise, through kills, a full disk and restores', async () => {
  const report = await runBackupRounds({ seed, rounds: kinds.length, kinds, ...small, dataDir: dataDir() });
  expect(verdict(report)).toEqual(clean(kinds.length));
  expect(report.backups).toBe(kinds.length);
  // Backups of what nobody changes, and instants at which everything was under way, would prove nothing.
  expect(report.acknowledged).toBeGreaterThan(1000);
  expect(report.exact).toBeGreaterThan(0);
}, 120_000);

test.each([
  ['copies files', 'copied-files'],
  ['leaves out what lies in the journals alone', 'unflushed-copy'],
])(
  'a backup that %s is found out',
  async (_, plant) => {
    const report = await runBackupRounds({
      seed,
      rounds: 5,
      kinds: ['load'],
      ...small,
      dataDir: dataDir(),
      plant: plantPath(plant),
      untilFound: true,
    });
    const found = report.violations.some(({ kind }) => kind === 'lost');
    expect({ seed, rounds: report.rounds, found }).toEqual({ seed, rounds: expect.any(Number), found: true });
  },
  60_000,
);
