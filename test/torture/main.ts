/**
 * `npm run torture -- --seed 7 --rounds 200 --minutes 30 --only kill`: the kill test for as long as wanted.
 *
 * Prints every round, and at the end one table. Ends with 1 when anything was lost, doubled, changed or unavailable, or
 * when a planted bug was not found. The same seed makes the same choices; the server's timing is its own.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type KillReport, p95, runKillRounds } from './kill-rounds.ts';

const suites = ['kill', 'plants'] as const;
const plants = ['ack-before-commit', 'dedupe-outside', 'skipped-row'] as const;
const plantRoundsMax = 10;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    rounds: { type: 'string', default: '50' },
    minutes: { type: 'string', default: '60' },
    only: { type: 'string', multiple: true, default: [...suites] },
    /** Stays there, to look at it; by default a temporary directory that is removed unless something was found. */
    'data-dir': { type: 'string' },
  },
});

const seed = Number(values.seed);
const rounds = Number(values.rounds);
const msMax = Number(values.minutes) * 60_000;
const wrong = values.only.find((name) => !suites.some((suite) => suite === name));

if (![seed, rounds, msMax].every(Number.isFinite) || wrong !== undefined) {
  console.error(`torture: --seed, --rounds and --minutes take numbers, --only takes ${suites.join(' or ')}`);
  process.exitCode = 64;
} else {
  console.log(`seed ${seed}`);
  const failures: string[] = [];
  if (values.only.includes('kill')) {
    const dataDir = values['data-dir'] ?? mkdtempSync(join(tmpdir(), 'fermata-torture-'));
    const report = await runKillRounds({ seed, rounds, msMax, dataDir, report: console.log });
    print('kill -9', report);
    if (report.violations.length > 0)
      failures.push(`${report.violations.length} violations; the data is in ${dataDir}`);
    else if (values['data-dir'] === undefined) rmSync(dataDir, { recursive: true, force: true });
  }
  for (const plant of values.only.includes('plants') ? plants : []) {
    const dataDir = mkdtempSync(join(tmpdir(), 'fermata-torture-'));
    const module = fileURLToPath(new URL(`plants/${plant}.ts`, import.meta.url));
    const report = await runKillRounds({ seed, rounds: plantRoundsMax, dataDir, plant: module, untilFound: true });
    rmSync(dataDir, { recursive: true, force: true });
    print(`planted: ${plant}`, report);
    if (report.violations.length === 0) failures.push(`the planted bug ${plant} was not found`);
  }
  for (const failure of failures) console.error(failure);
  process.exitCode = failures.length === 0 ? 0 : 1;
}

function print(name: string, report: KillReport): void {
  const { acknowledged, unknown, rejected, lost, doubled, changed, unavailable, evictions, readyMs } = report;
  const ends = { acknowledged, unknown, rejected, lost, doubled, changed, unavailable };
  const figures = { rounds: report.rounds, ...ends, evictions };
  const text = Object.entries(figures).map(([figure, value]) => `${value} ${figure}`);
  console.log(`${name}: ${text.join(', ')}, ready p95 ${Math.round(p95(readyMs))} ms`);
}
