/**
 * Backups under load, round by round, all by the shipped command. One server archives its log, everybody writes all the
 * time; each round makes a backup and judges it, and then does one more thing, in turn:
 *
 *   load      a backup of one tenant, restored from the base alone, compared with what was acknowledged      every round
 *   time      a restore to an instant that chance chooses, and what the books held then                      every second
 *   kill      kill -9 during a backup: of the server, or of the command alone
 *   full      no room for backups, for a moment or until the log has a gap
 *   replace   one tenant back to an instant in the running server, then kill -9
 *
 * `lost`: acknowledged in time and not there · `doubled`: there twice, or although it was sent later, refused or undone ·
 * `changed`: two things disagree that must agree · `unavailable`: something refused or failed that must work.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BackupSite, tenants } from './backups/backup-site.ts';
import { fullRound } from './backups/full-round.ts';
import { killRound } from './backups/kill-round.ts';
import { judgeLive } from './backups/live.ts';
import { loadRound } from './backups/load-round.ts';
import { replaceRound } from './backups/replace-round.ts';
import { timeRound } from './backups/time-round.ts';
import type { Violation } from './oracle.ts';
import { addViolations, newReport, type RoundOptions, type RoundReport } from './report.ts';
import { SeededRandom } from './seeded-random.ts';

export type BackupKind = 'time' | 'kill-server' | 'kill-command' | 'full' | 'full-long' | 'replace' | 'load';

export interface BackupOptions extends RoundOptions {
  /** What the rounds do beside their backup, in turn; by default everything. */
  readonly kinds?: readonly BackupKind[];
  /** Megabytes that each tenant has beside its books. */
  readonly hoardMb?: number;
  /** At the same time, for each tenant. */
  readonly writers?: number;
}

export interface BackupReport extends RoundReport {
  /** The longest time for which the keeper could answer nobody, of all backups. */
  longestPauseMs: number;
  /** Backups that were restored and compared. */
  backups: number;
  /** Instants that were restored and compared; books of them that one content only was right for. */
  instants: number;
  exact: number;
}

const everything: readonly BackupKind[] = [
  'time',
  'kill-server',
  'time',
  'full',
  'time',
  'replace',
  'time',
  'kill-command',
  'time',
  'full-long',
];
/** Before the first backup. */
const headStartMs = 500;
const violationsTold = 5;

export async function runBackupRounds(options: BackupOptions): Promise<BackupReport> {
  const run = new BackupRun(options);
  await run.open();
  try {
    return await run.run();
  } finally {
    await run.close();
  }
}

class BackupRun {
  readonly #options: BackupOptions;
  readonly #random: SeededRandom;
  readonly #report: BackupReport = { ...newReport(), longestPauseMs: 0, backups: 0, instants: 0, exact: 0 };
  #site!: BackupSite;
  /** Refusals that were looked at. */
  #looked = 0;

  constructor(options: BackupOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
  }

  async open(): Promise<void> {
    const { dataDir, plant, hoardMb = 8, writers = 6 } = this.#options;
    mkdirSync(dataDir, { recursive: true });
    this.#site = await BackupSite.open({ dataDir, random: this.#random, plant, hoardMb, writers });
  }

  async run(): Promise<BackupReport> {
    const { rounds, msMax = Number.POSITIVE_INFINITY, untilFound = false, kinds = everything } = this.#options;
    const report = this.#report;
    const endMs = performance.now() + msMax;
    await sleep(headStartMs);
    for (let round = 0; round < rounds && performance.now() < endMs; round += 1) {
      await this.#round(round, kinds[round % kinds.length]!);
      if (untilFound && report.violations.length > 0) break;
    }
    await this.#site.writers.stop();
    if (!untilFound) addViolations(report, await judgeLive(this.#site, 'at the end', true));
    const { writers, readyMs, instants, exact } = this.#site;
    const { acked, unknown, rejected } = writers;
    Object.assign(report, { acknowledged: acked, unknown, rejected, readyMs, instants, exact });
    const { backups, longestPauseMs } = report;
    this.#tell(
      `all: ${backups} backups restored, longest pause ${longestPauseMs} ms; ${instants} instants restored, ${exact} books with one right content`,
    );
    return report;
  }

  async close(): Promise<void> {
    await this.#site.close(this.#report.violations.length > 0);
  }

  async #round(round: number, kind: BackupKind): Promise<void> {
    const { dataDir } = this.#options;
    const site = this.#site;
    const report = this.#report;
    const tenant = tenants[round % tenants.length]!;
    // Elsewhere no log goes on from it, and nothing older is cleared away.
    const to = round % 2 === 1 ? join(dataDir, 'elsewhere') : undefined;
    const load = await loadRound(site, tenant, to);
    report.backups += 1;
    report.longestPauseMs = Math.max(report.longestPauseMs, load.longestPauseMs);
    const violations = [...load.violations, ...this.#refused()];
    // The tenant whose base is oldest has the most to go back to.
    const other = tenants[(round + 1) % tenants.length]!;
    const { text, violations: found } = await this.#act(kind, other);
    violations.push(...found, ...this.#refused(kind === 'replace' ? other : undefined));
    report.rounds += 1;
    addViolations(report, violations);
    this.#tell(
      `round ${round + 1}: backup of ${load.text}; ${kind}: ${text}` +
        (violations.length === 0 ? '' : `, ${violations.length} violations`),
    );
    for (const { kind: what, text: why } of violations.slice(0, violationsTold)) this.#tell(`  ${what}: ${why}`);
  }

  async #act(kind: BackupKind, tenant: string): Promise<{ violations: Violation[]; text: string }> {
    const site = this.#site;
    if (kind === 'kill-server' || kind === 'kill-command')
      return await killRound(site, kind === 'kill-server' ? 'server' : 'command', this.#random.next());
    if (kind === 'full' || kind === 'full-long') return await fullRound(site, tenant, kind === 'full-long');
    if (kind === 'replace') return await replaceRound(site, tenant);
    if (kind === 'load') return { violations: [], text: 'nothing more' };
    return await timeRound(site, tenant);
  }

  /** Nobody's call may fail because of a backup, or of a restore of another tenant. */
  #refused(allowed?: string): Violation[] {
    const { refused } = this.#site.writers;
    const found = refused.slice(this.#looked).filter(({ tenant }) => tenant !== allowed);
    this.#looked = refused.length;
    return found.map(({ text }) => ({ kind: 'unavailable', text }));
  }

  #tell(line: string): void {
    this.#options.report?.(line);
  }
}
