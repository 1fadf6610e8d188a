/**
 * The disk of the backups is full: the command says so in a line, nothing partial is left, former backups are as they were,
 * and the server goes on as if nothing were. With room again the next backup works. A log that could not be written for
 * too long has a gap, which restores tell of.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Violation } from '../oracle.ts';
import { type BackupSite, iso, tenants } from './backup-site.ts';
import { isFault, judgeTarget } from './kill-round.ts';
import { restoreAt } from './time-round.ts';

export interface FullOutcome {
  readonly violations: Violation[];
  readonly text: string;
}

const gapMsMax = 30_000;
const shortMs = 1000;

/** `long`: until the log has a gap. */
export async function fullRound(site: BackupSite, tenant: string, long: boolean): Promise<FullOutcome> {
  const violations: Violation[] = [];
  const complain = (text: string): void => {
    violations.push({ kind: 'unavailable', text });
  };
  const before = tenants.flatMap((each) => site.bases(each));
  const { acked } = site.writers;
  const logged = site.server.logs.length;
  const isGap = (msg = ''): boolean => msg.includes('has a gap now');
  const gaps = (): string[] =>
    site.server.logs.slice(logged).flatMap(({ msg, tenant: of }) => (isGap(msg) ? [String(of)] : []));
  const fullMs = Date.now();
  site.disk.fill();
  try {
    // To where the log goes, it waits for the log, which waits for room.
    const to = long ? [] : ['--to', join(site.disk.path, 'other')];
    const { code, stdout, stderr } = await site.run(['backup', '--tenant', tenant, ...to]);
    if (code !== 1 || isFault(stderr) || !/ENOSPC|no space|full/i.test(stderr))
      complain(`a backup to a full disk ended with ${code}: ${stdout}${stderr}`);
    if (long) {
      const endMs = performance.now() + gapMsMax;
      while (new Set(gaps()).size < tenants.length && performance.now() < endMs) await sleep(100);
      if (gaps().length === 0) complain('the log of a full disk took everything');
    } else await sleep(shortMs);
    if (site.writers.acked === acked) complain('nothing was acknowledged while the disk of the backups was full');
  } finally {
    site.disk.free();
  }
  const freeMs = Date.now();
  violations.push(...(await judgeTarget(site, before)));
  for (const each of tenants) if (gaps().includes(each)) await judgeGap(site, each, freeMs, complain);
  const { code, stderr } = await site.run(['backup', '--json']);
  if (code !== 0) complain(`the backup after the disk was full ended with ${code}: ${stderr}`);
  for (const each of tenants) if (gaps().includes(each)) site.wholeSince(each, site.bases(each).at(-1)!.finishedMs);
  violations.push(...(await restoreAt(site, tenant, Date.now())).violations);
  const told = new Set(gaps()).size;
  return { violations, text: `${tenant} for ${freeMs - fullMs} ms, ${told} logs with a gap` };
}

/** A restore over a gap must not look like one that has everything. */
async function judgeGap(
  site: BackupSite,
  tenant: string,
  freeMs: number,
  complain: (text: string) => void,
): Promise<void> {
  // Until then nothing follows the gap, so that nobody can know of it.
  await sleep(1500);
  const at = Math.min(Date.now(), freeMs + 1000);
  const { code, stdout, stderr } = await site.run([
    'restore',
    '--tenant',
    tenant,
    '--at',
    iso(at),
    '--dry-run',
    '--json',
  ]);
  if (code === 1 && !isFault(stderr) && /gap|does not hold|missing/.test(stderr)) return;
  complain(`a restore of ${tenant} over a gap ended with ${code}: ${stdout}${stderr}`);
}
