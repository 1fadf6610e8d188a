/**
 * `npm run torture -- --seed 7 --minutes 30 --only kill`: every torture for as long as wanted.
 *
 *   kill           kill -9 under load                              500 rounds
 *   crash-points   storage killed at each call that writes         300 of them
 *   sigterm        SIGTERM under load                              100 rounds
 *   faults         each fault of an author's code                  40 times
 *   chaos          clients behind a proxy that cuts and stalls,
 *                  and kill -9: a minute each                      2 rounds, with one gateway thread and with two
 *   flips          a flipped bit or a cut in a file                400 rounds, half of them in journals
 *   backups        backups under load, restored and compared,
 *                  with kills, a full disk and restores between   100 rounds
 *   rollout        processes of a cluster restarted in turn,
 *                  under 200 clients                              10 rounds
 *   node-kill      kill -9 of a cluster's processes under load    60 rounds
 *   nats           NATS restarted, killed, away, frozen, cut off,
 *                  its store lost                                 21 rounds
 *   plants         a planted bug for each of them, which it must find
 *
 * Prints every round, and a line for each torture at its end. Ends with 1 when anything was lost, doubled, changed or
 * unavailable, or when a planted bug was not found. The same seed makes the same choices; the server's timing is its own.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from '../support/built.ts';
import { type BackupReport, runBackupRounds } from './backup-rounds.ts';
import { runChaosRounds } from './chaos-rounds.ts';
import { plantStorm } from './chaos/size.ts';
import { runCrashPoints } from './crash-points.ts';
import { type Fault, faults, runFaultRounds } from './fault-rounds.ts';
import { runFlipRounds } from './flip-rounds.ts';
import { runKillRounds } from './kill-rounds.ts';
import { runNatsRounds } from './nats-rounds.ts';
import { runNodeKillRounds } from './node-kill-rounds.ts';
import { p95, type RoundOptions, type RoundReport } from './report.ts';
import { runRolloutRounds } from './rollout-rounds.ts';
import { runSigtermRounds } from './sigterm-rounds.ts';

type Torture = (options: RoundOptions) => Promise<RoundReport>;

const tortures: Readonly<Record<string, { readonly run: Torture; readonly rounds: number }>> = {
  kill: { run: runKillRounds, rounds: 500 },
  'crash-points': { run: runCrashPoints, rounds: 300 },
  sigterm: { run: runSigtermRounds, rounds: 100 },
  chaos: { run: runChaosRounds, rounds: 2 },
  flips: { run: runFlipRounds, rounds: 400 },
  backups: { run: runBackupRounds, rounds: 100 },
  rollout: { run: runRolloutRounds, rounds: 10 },
  'node-kill': { run: runNodeKillRounds, rounds: 60 },
  nats: { run: runNatsRounds, rounds: 21 },
};
const faultTimes = 40;
/** Faults that are tried at the same time, each on a server of its own. */
const faultsAtOnce = 2;
const shortChaos: Torture = (options) => runChaosRounds({ ...options, size: plantStorm });
const backupsAlone: Torture = (options) => runBackupRounds({ ...options, kinds: ['load'] });
const plants: readonly [string, Torture][] = [
  ['ack-before-commit', runKillRounds],
  ['dedupe-outside', runKillRounds],
  ['skipped-row', runKillRounds],
  ['early-forget', runCrashPoints],
  ['late-replies', runSigtermRounds],
  ['forgotten-callers', (options) => runFaultRounds(['exit'], options)],
  ['forgotten-numbers', shortChaos],
  ['forgotten-at-restart', shortChaos],
  ['skipped-event', shortChaos],
  ['skipped-patch', shortChaos],
  ['forgotten-visitors', shortChaos],
  ['second-goodbye', shortChaos],
  ['unchecked', (options) => runFlipRounds({ ...options, where: 'tenant', how: 'flip', worlds: ['stopped'] })],
  ['unmarked', (options) => runFlipRounds({ ...options, where: 'journal', how: 'cut', worlds: ['journal'] })],
  ['copied-files', backupsAlone],
  ['unflushed-copy', backupsAlone],
];
const plantRoundsMax = 20;
const names = [...Object.keys(tortures), 'faults', 'plants'];

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    /** Instead of each torture's own number. */
    rounds: { type: 'string' },
    /** Of each torture; it ends early then, and says how many rounds it made. */
    minutes: { type: 'string', default: '60' },
    only: { type: 'string', multiple: true, default: names },
    /** Stays there, to look at it; by default a temporary directory that is removed unless something was found. */
    'data-dir': { type: 'string' },
  },
});

const seed = Number(values.seed);
const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
const msMax = Number(values.minutes) * 60_000;
const wrong = values.only.find((name) => !names.includes(name));
const failures: string[] = [];

if (![seed, rounds ?? 1, msMax].every(Number.isFinite) || wrong !== undefined) {
  console.error(`torture: --seed, --rounds and --minutes take numbers, --only takes one of ${names.join(', ')}`);
  process.exitCode = 64;
} else {
  build();
  console.log(`seed ${seed}`);
  for (const [name, { run, rounds: usual }] of Object.entries(tortures)) {
    if (values.only.includes(name)) await torture(name, run, rounds ?? usual);
  }
  if (values.only.includes('faults')) await tortureByFaults(rounds ?? faultTimes);
  if (values.only.includes('plants')) for (const [plant, run] of plants) await find(plant, run);
  for (const failure of failures) console.error(failure);
  // At once: left to end by itself, Node spins for ever while it cleans up after sockets that were half open.
  process.exit(failures.length === 0 ? 0 : 1);
}

async function torture(name: string, run: Torture, roundsMax: number): Promise<void> {
  const dataDir = directory(name);
  const report = await run({ seed, rounds: roundsMax, msMax, dataDir, report: console.log });
  print(name, report);
  if (report.violations.length > 0)
    failures.push(`${name}: ${report.violations.length} violations; the data is in ${dataDir}`);
  else if (values['data-dir'] === undefined) rmSync(dataDir, { recursive: true, force: true });
}

async function tortureByFaults(times: number): Promise<void> {
  // The endless loop takes longest, so it begins.
  const queue = (Object.keys(faults) as Fault[]).sort((a, b) => Number(b === 'loop') - Number(a === 'loop'));
  const work = async (): Promise<void> => {
    for (let fault = queue.shift(); fault !== undefined; fault = queue.shift()) {
      const which = fault;
      await torture(`fault ${which}`, (options) => runFaultRounds([which], options), times);
    }
  };
  await Promise.all(Array.from({ length: faultsAtOnce }, work));
}

async function find(plant: string, run: Torture): Promise<void> {
  const dataDir = directory(plant);
  const module = fileURLToPath(new URL(`plants/${plant}.ts`, import.meta.url));
  const report = await run({ seed, rounds: plantRoundsMax, dataDir, plant: module, untilFound: true });
  rmSync(dataDir, { recursive: true, force: true });
  print(`planted: ${plant}`, report);
  if (report.violations.length === 0) failures.push(`the planted bug ${plant} was not found`);
}

function directory(name: string): string {
  const { 'data-dir': parent } = values;
  if (parent === undefined) return mkdtempSync(join(tmpdir(), 'fermata-torture-'));
  const own = join(parent, name.replaceAll(' ', '-'));
  mkdirSync(own, { recursive: true });
  return own;
}

function print(name: string, report: RoundReport & Partial<Pick<BackupReport, 'longestPauseMs'>>): void {
  const { acknowledged, unknown, rejected, lost, doubled, changed, unavailable, readyMs } = report;
  const figures = { rounds: report.rounds, acknowledged, unknown, rejected, lost, doubled, changed, unavailable };
  const text = Object.entries(figures).map(([figure, value]) => `${value} ${figure}`);
  const waits =
    readyMs.length === 0
      ? ''
      : `, waited p95 ${Math.round(p95(readyMs))}, at most ${Math.round(Math.max(...readyMs))} ms`;
  const pause = report.longestPauseMs === undefined ? '' : `, longest pause ${report.longestPauseMs} ms`;
  console.log(`${name}: ${text.join(', ')}${waits}${pause}`);
}
