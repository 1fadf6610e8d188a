/**
 * A kill at every system call by which storage changes the disk: strace runs crash-script.ts and kills it as it enters the
 * n-th call of a kind. Then the directory is recovered here, and compared with what had been acknowledged.
 *
 * The killed call does not happen, so that a kill at each of them leaves every state of the disk that a dying process can.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import Database from 'better-sqlite3';
import { createLog } from '../../src/host/log.ts';
import { openFile } from '../../src/storage/migrations.ts';
import { look } from '../../src/storage/paths.ts';
import { recover } from '../../src/storage/recovery.ts';
import { built } from '../support/built.ts';
import { needs } from '../support/needs.ts';
import { childEnv, root } from '../support/server.ts';
import { commits, keyOf, openKeeper, plan, type PlannedCommit, scratchFormats, scratchPath } from './crash-script.ts';
import type { Violation } from './oracle.ts';
import { addViolations, newReport, type RoundOptions, type RoundReport } from './report.ts';
import { SeededRandom } from './seeded-random.ts';

const script = built(fileURLToPath(new URL('./crash-script.ts', import.meta.url)));
const kinds = ['fsync', 'fdatasync', 'pwrite64', 'ftruncate', 'unlink', 'rename'] as const;
const outcomeMs = 24 * 60 * 60 * 1000;

interface CrashPoint {
  readonly call: string;
  readonly n: number;
}

/** `rounds`: how many of the points, chosen by chance when there are more. */
export async function runCrashPoints(options: RoundOptions): Promise<RoundReport> {
  const { seed, rounds, msMax = Number.POSITIVE_INFINITY, untilFound = false, report: tell } = options;
  const endMs = performance.now() + msMax;
  const random = new SeededRandom(seed);
  const all = await findPoints(options);
  const points = mixed(all, random).slice(0, rounds);
  tell?.(`${all.length} crash points, ${points.length} of them tried`);
  const report = newReport();
  for (const { call, n } of points) {
    if (performance.now() > endMs || (untilFound && report.violations.length > 0)) break;
    const dataDir = mkdtempSync(join(options.dataDir, 'crash-'));
    const acked = await live(dataDir, options.plant, [
      '-e',
      `trace=${call}`,
      '-e',
      `inject=${call}:signal=KILL:when=${n}`,
    ]);
    const violations = check(dataDir, acked).map(({ kind, text }) => ({ kind, text: `${call} ${n}: ${text}` }));
    report.rounds += 1;
    report.acknowledged += acked;
    addViolations(report, violations);
    for (const { kind, text } of violations.slice(0, 5)) tell?.(`  ${kind}: ${text}`);
    rmSync(dataDir, { recursive: true, force: true });
  }
  return report;
}

/** Every call of those kinds that concerns the data directory, from a life that nobody cuts short. */
async function findPoints({ dataDir, plant }: RoundOptions): Promise<CrashPoint[]> {
  const directory = mkdtempSync(join(dataDir, 'crash-'));
  const log = join(dataDir, 'strace.log');
  const acked = await live(directory, plant, ['-y', '-o', log, '-e', `trace=${kinds.join(',')}`]);
  if (acked !== commits) throw new Error(`the script acknowledged ${acked} of ${commits} commits undisturbed`);
  const counts = new Map<string, number>();
  const points: CrashPoint[] = [];
  for (const line of readFileSync(log, 'utf8').split('\n')) {
    const [, thread, call] = /^(\d+)\s+(\w+)\(/.exec(line) ?? [];
    if (thread === undefined || call === undefined) continue;
    // strace counts for each thread by itself; storage lives in one.
    const name = `${thread} ${call}`;
    const n = (counts.get(name) ?? 0) + 1;
    counts.set(name, n);
    if (line.includes(directory)) points.push({ call, n });
  }
  rmSync(directory, { recursive: true, force: true });
  return points;
}

/** By chance, but each kind of call in turn: most calls are writes, and a small sample must not be all of one kind. */
function mixed(points: readonly CrashPoint[], random: SeededRandom): CrashPoint[] {
  const decks = kinds.map((kind) => random.shuffle(points.filter(({ call }) => call === kind)));
  const order: CrashPoint[] = [];
  for (let at = 0; order.length < points.length; at += 1) {
    for (const deck of decks) if (at < deck.length) order.push(deck[at]!);
  }
  return order;
}

/** Runs the script under strace. @returns how many commits it acknowledged */
async function live(dataDir: string, plant: string | undefined, straceArgs: readonly string[]): Promise<number> {
  const env = childEnv(plant === undefined ? {} : { NODE_OPTIONS: `--import=${pathToFileURL(built(plant)).href}` });
  const child = spawn(needs('strace'), ['-f', '-qq', ...straceArgs, process.execPath, script, dataDir], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text));
  await once(child, 'close');
  return printed.split('\n').length - 1;
}

/** Recovers, twice, and holds everything against the plan: `acked` commits are owed, one more may have happened. */
function check(dataDir: string, acked: number): Violation[] {
  const violations: Violation[] = [];
  const planned = plan();
  const lastMs = planned[Math.min(acked, commits - 1)]!.atMs;
  const log = createLog({ level: 'silent', pretty: false }, 'check');
  for (const time of ['first', 'second']) {
    const core = openKeeper(dataDir, () => lastMs);
    try {
      recover(dataDir, core, 2, log);
      for (const name of new Set(planned.map(({ address }) => `${address.tenant} ${address.id}`))) {
        const its = planned.filter(({ address }) => `${address.tenant} ${address.id}` === name);
        violations.push(...checkActor(core, name, its, acked, lastMs));
      }
    } catch (error) {
      violations.push({ kind: 'unavailable', text: `the ${time} recovery failed: ${String(error)}` });
    }
    core.close();
  }
  return [...violations, ...checkScratch(dataDir), ...checkStructure(dataDir)];
}

function checkActor(
  core: ReturnType<typeof openKeeper>,
  name: string,
  its: readonly PlannedCommit[],
  acked: number,
  lastMs: number,
): Violation[] {
  const { address } = its[0]!;
  const { state, seq } = core.load(address);
  const { entries } = (state === undefined ? { entries: [] } : JSON.parse(state)) as { entries: string[] };
  const violations: Violation[] = [];
  const owed = its.filter(({ n }) => n < acked);
  const most = its.filter(({ n }) => n <= acked);
  const said = `${name} holds ${entries.length} entries at ${seq}, ${acked} commits were acknowledged`;
  if (entries.length < owed.length) violations.push({ kind: 'lost', text: said });
  if (entries.length > most.length || new Set(entries).size !== entries.length)
    violations.push({ kind: 'doubled', text: said });
  if (seq !== entries.length || entries.some((entry, at) => entry !== its[at]?.entry))
    violations.push({ kind: 'changed', text: said });
  for (const { n, seq: result, atMs } of owed) {
    if (atMs < lastMs - outcomeMs) continue;
    const outcome = core.outcome(address, keyOf(n))?.outcome;
    if (outcome?.kind !== 'ok' || outcome.result !== String(result))
      violations.push({ kind: 'lost', text: `${name} has not kept the outcome of ${keyOf(n)}` });
  }
  return violations;
}

/** The file is of the older format or of the newer one, and whole in either. */
function checkScratch(dataDir: string): Violation[] {
  const path = scratchPath(dataDir);
  if (look(path) === undefined) return [];
  try {
    const db = openFile(path, scratchFormats.newer)!;
    const rows = db.prepare('SELECT n, twice FROM moved ORDER BY n').raw().all();
    db.close();
    if (JSON.stringify(rows) === '[[1,2],[2,4],[3,6]]') return [];
    return [{ kind: 'lost', text: `the migrated file holds ${JSON.stringify(rows)}` }];
  } catch (error) {
    return [{ kind: 'unavailable', text: `the file under migration cannot be opened: ${String(error)}` }];
  }
}

function checkStructure(dataDir: string): Violation[] {
  const violations: Violation[] = [];
  for (const name of readdirSync(dataDir, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.db')) continue;
    const db = new Database(join(dataDir, name), { readonly: true });
    const result = String(db.pragma('integrity_check', { simple: true }));
    db.close();
    if (result !== 'ok') violations.push({ kind: 'lost', text: `${name}: ${result}` });
  }
  return violations;
}
