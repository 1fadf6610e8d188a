/**
 * kill -9 during a backup, of the server with everything it does or of the command that asked alone. Then: nothing is under
 * its final name that is not whole, former backups are as they were, the log goes on across it, and the server has all that
 * it acknowledged.
 */
import Database from 'better-sqlite3';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Violation } from '../oracle.ts';
import { type BackupSite, type Base, list, tenants } from './backup-site.ts';
import { judgeLive } from './live.ts';
import { restoreAt } from './time-round.ts';

export type Victim = 'server' | 'command';

export interface KillOutcome {
  readonly violations: Violation[];
  readonly text: string;
}

/** After the start of the command, which takes a moment to ask. */
const killMsMin = 150;
const killMsMax = 1000;
const afterMs = 500;

export async function killRound(site: BackupSite, victim: Victim, chance: number): Promise<KillOutcome> {
  const before = tenants.flatMap((tenant) => site.bases(tenant));
  const earlyMs = Date.now();
  const backup = site.launch(['backup', '--json']);
  let ended = false;
  void backup.end.then(() => (ended = true));
  await sleep(killMsMin + chance * (killMsMax - killMsMin));
  const wasUnderWay = !ended;
  const violations: Violation[] = [];
  if (victim === 'server') {
    // A command that had not asked yet finds no server, and makes the backup itself: the directory is its own then.
    await site.killAndStart(backup.end);
    const end = await backup.end;
    if (wasUnderWay && isFault(end.stderr))
      violations.push({ kind: 'unavailable', text: `the command said of the server's end: ${end.stderr}` });
    violations.push(...(await judgeLive(site, 'after a kill during a backup')));
    site.writers.start(site.server.address);
  } else {
    backup.kill9();
    await backup.end;
  }
  violations.push(...(await judgeTarget(site, before)));
  await sleep(afterMs);
  const lateMs = Date.now();
  const tenant = tenants[Math.floor(chance * 1000) % tenants.length]!;
  // The backup may have been through with this tenant, and its former base gone.
  if (site.sinceMs(tenant) <= earlyMs) violations.push(...(await restoreAt(site, tenant, earlyMs)).violations);
  violations.push(...(await restoreAt(site, tenant, lateMs)).violations);
  return { violations, text: `${victim} ${wasUnderWay ? 'during' : 'after'} a backup` };
}

/** Everything under a final name is whole, and those that were there are there as they were, or have a successor. */
export async function judgeTarget(site: BackupSite, before: readonly Base[]): Promise<Violation[]> {
  const violations: Violation[] = [];
  const verify = await site.run(['verify', site.target, '--json']);
  if (verify.code !== 0)
    violations.push({
      kind: 'changed',
      text: `verify ended with ${verify.code}: ${damaged(verify.stdout)}${verify.stderr}`,
    });
  for (const tenant of tenants) {
    const now = site.bases(tenant);
    for (const base of before.filter((each) => each.tenant === tenant)) {
      const same = now.find(({ path }) => path === base.path);
      const isGone = same === undefined && !now.some(({ beganMs }) => beganMs > base.beganMs);
      if (isGone || (same !== undefined && same.sha256 !== base.sha256))
        violations.push({ kind: 'lost', text: `the former backup ${base.path} is ${isGone ? 'gone' : 'another'}` });
    }
    const folder = join(site.target, tenant, 'base');
    for (const name of list(folder).filter((each) => each.endsWith('.db'))) {
      const path = join(folder, name);
      // With a manifest, verify has looked at it.
      if (existsSync(path.replace(/db$/, 'json')) || isWhole(path)) continue;
      violations.push({ kind: 'changed', text: `${path} has its final name and is not whole` });
    }
  }
  return violations;
}

function isWhole(path: string): boolean {
  try {
    const db = new Database(path, { readonly: true });
    try {
      return db.pragma('integrity_check', { simple: true }) === 'ok';
    } finally {
      db.close();
    }
  } catch {
    // The next backup may have cleared it away.
    return !existsSync(path);
  }
}

function damaged(json: string): string {
  try {
    const { reports } = JSON.parse(json) as { reports: { problem?: string }[] };
    return reports.flatMap(({ problem }) => (problem === undefined ? [] : [problem])).join('; ');
  } catch {
    return json;
  }
}

/** More than a sentence and a hint. */
export function isFault(stderr: string): boolean {
  return /\n\s+at .+:\d+:\d+/.test(stderr) || stderr.trim().split('\n').length > 3;
}
