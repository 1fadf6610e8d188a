/**
 * Is there a good backup of every tenant, young enough? Reads the manifests of the newest bases: a base has one only when it
 * was verified. Whether it is still sound is what `fermata verify` tells, which reads all of it.
 *
 * A tenant that nobody changes gets no new base, so that an old one may be all it needs: that is so while the mark beside the
 * tenant's file counts as many commits as the base holds. The time of the file says less, because it also moves when a server
 * tidies up; it is asked only when the numbers differ, or when there is no mark.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { directoryTarget } from '../backup/directory-target.ts';
import { decodeManifest, type Manifest } from '../backup/manifest.ts';
import { basesOf } from '../backup/names.ts';
import type { BackupObject, BackupTarget } from '../backup/target.ts';
import { isTenant } from '../protocol/address.ts';
import { Mark } from '../storage/mark.ts';
import { dataPaths, look, tenantDirectory } from '../storage/paths.ts';
import { fail, ok, reason, warn, type Finding } from './doctor-finding.ts';
import { counted, readableAge, readableTime } from './readable.ts';

export interface TenantBackup {
  readonly tenant: string;
  readonly bornMs: number;
  /** At the latest; no later than the base when that holds every commit. */
  readonly changedMs: number;
  /** When the newest base with a good manifest was begun. */
  readonly baseMs: number | undefined;
  /** Newer bases that are damaged. */
  readonly damaged: number;
}

export type BackupFacts = { readonly tenants: readonly TenantBackup[] } | { readonly problem: string };

export async function lookAtBackups(dataDir: string, backupDir: string): Promise<BackupFacts> {
  try {
    const target = directoryTarget(backupDir);
    const objects = await target.list('');
    const tenants: TenantBackup[] = [];
    for (const tenant of tenantsIn(dataDir)) {
      const path = join(tenantDirectory(dataDir, tenant), 'tenant.db');
      const times = fileTimes(path);
      if (times === undefined) continue;
      const { base, damaged } = await newestBase(target, objects, tenant);
      const baseMs = base === undefined ? undefined : Date.parse(base.began);
      const isHeld = baseMs !== undefined && base?.sequence === commitsOf(path);
      tenants.push({ tenant, ...times, ...(isHeld ? { changedMs: baseMs } : {}), baseMs, damaged });
    }
    return { tenants };
  } catch (error) {
    return { problem: reason(error) };
  }
}

function tenantsIn(dataDir: string): string[] {
  const folder = dataPaths(dataDir).tenants;
  return look(folder) === undefined ? [] : readdirSync(folder).filter(isTenant);
}

function fileTimes(path: string): { bornMs: number; changedMs: number } | undefined {
  const file = look(path);
  if (file === undefined) return undefined;
  return { bornMs: file.birthtimeMs, changedMs: Math.max(file.mtimeMs, look(`${path}-wal`)?.mtimeMs ?? 0) };
}

/** By its mark; 0 when that is not there or damaged. */
function commitsOf(path: string): number {
  if (look(`${path}-mark`) === undefined) return 0;
  const mark = new Mark(path);
  try {
    return mark.read();
  } finally {
    mark.close();
  }
}

async function newestBase(target: BackupTarget, objects: readonly BackupObject[], tenant: string) {
  const bytes = new Map(objects.map((each) => [each.name, each.bytes]));
  const manifests = [...bytes.keys()].filter((name) => name.startsWith(basesOf(tenant)) && name.endsWith('.json'));
  let damaged = 0;
  for (const name of manifests.toReversed()) {
    const base = await goodBase(target, name, bytes.get(name.replace(/json$/, 'db')));
    if (base !== undefined) return { base, damaged };
    damaged += 1;
  }
  return { base: undefined, damaged };
}

/** Undefined when the manifest or the base is not what it was. */
async function goodBase(target: BackupTarget, name: string, bytes: number | undefined): Promise<Manifest | undefined> {
  try {
    const manifest = decodeManifest((await target.read(name)).toString('utf8'), name);
    return manifest.bytes === bytes ? manifest : undefined;
  } catch {
    return undefined;
  }
}

const dayMs = 86_400_000;
const marginMs = 300_000;

/** Without an interval somebody else may make them, by cron for instance: then a day is what is asked for. */
function ageMsMax(intervalMs: number | undefined): number {
  return 2 * (intervalMs ?? dayMs / 2) + marginMs;
}

export function judgeBackupInterval(intervalMs: number | undefined, facts: BackupFacts, nowMs: number): Finding {
  const check = 'backup interval';
  if (intervalMs !== undefined) {
    if (intervalMs <= dayMs) return ok(check, readableTime(intervalMs));
    return warn(
      check,
      `${Math.round(intervalMs / dayMs)} days`,
      'BACKUP_INTERVAL=1h: the log fills the time between, and grows with it.',
    );
  }
  const tenants = 'tenants' in facts ? facts.tenants : [];
  const byOthers = tenants.some(({ baseMs = 0 }) => nowMs - baseMs < ageMsMax(undefined));
  const hint = 'BACKUP_INTERVAL=1h: the server makes them, verifies them, and archives what is committed in between.';
  return byOthers
    ? warn(check, 'off; somebody else makes backups, and nothing is archived between them', hint)
    : fail(check, 'off, and no backup is younger than a day', hint);
}

export function judgeBackupAge(intervalMs: number | undefined, facts: BackupFacts, nowMs: number): Finding {
  const check = 'backup age';
  if ('problem' in facts)
    return fail(check, `cannot be looked at: ${facts.problem}`, 'Run it as the user that serves.');
  const { tenants } = facts;
  if (tenants.length === 0) return ok(check, 'there are no tenants yet');
  const maxMs = ageMsMax(intervalMs);
  const told = tenants.map((tenant) => verdictOn(tenant, nowMs, maxMs));
  const bad = told.filter(({ status }) => status === 'fail');
  const doubtful = told.filter(({ status }) => status === 'warn');
  const first = [...bad, ...doubtful].slice(0, 3).map(({ message }) => message);
  const more = bad.length + doubtful.length - first.length;
  const message = `${first.join('; ')}${more > 0 ? `; and ${counted(more, 'tenant')} more` : ''}`;
  const hint = 'fermata backup makes one now; the log of the server says why its own did not come about.';
  if (bad.length > 0) return fail(check, message, hint);
  if (doubtful.length > 0) return warn(check, message, hint);
  return ok(check, `${counted(tenants.length, 'tenant')}, each with a good base that is young enough`);
}

function verdictOn({ tenant, bornMs, changedMs, baseMs, damaged }: TenantBackup, nowMs: number, maxMs: number) {
  const passed = damaged > 0 ? `, and ${damaged} newer ${damaged === 1 ? 'is' : 'are'} damaged` : '';
  if (baseMs === undefined) {
    const status = damaged > 0 || nowMs - bornMs > maxMs ? 'fail' : 'ok';
    return { status, message: `${tenant} has no good base${damaged > 0 ? `, ${damaged} damaged` : ''}` };
  }
  const message = `the newest good base of ${tenant} was begun ${readableAge(nowMs - baseMs)}${passed}`;
  if (damaged > 0) return { status: 'fail', message };
  if (nowMs - baseMs <= maxMs || changedMs <= baseMs) return { status: 'ok', message };
  return { status: nowMs - changedMs > maxMs ? 'fail' : 'warn', message: `${message}, and it has changed since` };
}
