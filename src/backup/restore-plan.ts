/**
 * What a restore would use, decided and proven before anything is built: which base, which segments of the log behind it,
 * and that nothing between them is missing.
 *
 *     newest sound base that was finished by then ─▶ its log, segment after segment, as far as it is whole
 *     no base: the log alone, when it begins with the tenant
 *
 * Invariants: bases are read whole and segments to the last record, so that what a plan promises was there and sound when it
 * was made · where something may have been committed that nobody has any more, there is no plan, and the refusal says from
 * when to when · a record that was committed by then may lie in any later segment, because a journal that is replayed
 * after a crash is archived late; so all of them are read.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Clock, systemClock } from '../host/clock.ts';
import { makeDirectory, tenantDirectory } from '../storage/paths.ts';
import { readTenant } from '../storage/read-only.ts';
import { digest } from './digest.ts';
import { DamagedBackupError, MissingBackupError, RestoreRefusal } from './errors.ts';
import { type ChainStep, listLog, type LogBreak, type LogPart, readSegment, walkLog } from './log-chain.ts';
import { decodeManifest, type Manifest } from './manifest.ts';
import { baseTime, basesOf, tenantOf } from './names.ts';
import type { BackupTarget } from './target.ts';
import { checkDigest } from './verify.ts';

export interface PlannedBase {
  /** Of its file. */
  readonly name: string;
  readonly manifest: Manifest;
}

export interface RestorePlan {
  readonly tenant: string;
  /** Undefined: the log alone. */
  readonly base?: PlannedBase;
  /** Names of the log's objects to read, in order. */
  readonly segments: readonly string[];
  /** Undefined: the newest there is. */
  readonly atMs?: number;
  /** Of the log, committed by then. The base may hold some of them. */
  readonly records: number;
  /** When the last of them was committed. */
  readonly lastRecordMs?: number;
  /** What was passed over, and why: a sentence each. */
  readonly skipped: readonly string[];
}

export interface PlanOptions {
  readonly clock?: Clock;
  /** Only this one is wanted: bases in which it is closed off are passed over. */
  readonly actor?: ActorName | undefined;
}

interface ActorName {
  readonly type: string;
  readonly id: string;
}

/** @throws MissingBackupError, RestoreRefusal, DamagedBackupError */
export async function planRestore(
  target: BackupTarget,
  tenant: string,
  atMs?: number,
  { clock = systemClock, actor }: PlanOptions = {},
): Promise<RestorePlan> {
  await refuseUnknown(target, tenant);
  if (atMs !== undefined && atMs > clock.now())
    throw new RestoreRefusal(`${iso(atMs)} is in the future`, 'Leave the time out for the newest there is.');
  const skipped: string[] = [];
  const bases = await basesOfTenant(target, tenant, skipped);
  const base = await newestSound(target, tenant, bases, { atMs, actor }, skipped);
  const log = await readLog(target, tenant, base, atMs);
  const reachMs = Math.max(log.reachMs, base === undefined ? 0 : Date.parse(base.manifest.finished));
  if (base === undefined && log.segments.length === 0) throw noBeginning(tenant, bases, atMs, skipped, log.broken);
  if (log.broken !== undefined && (atMs === undefined || atMs > reachMs))
    throw incomplete(tenant, log.broken, reachMs, atMs);
  if (base === undefined && log.records === 0)
    throw new RestoreRefusal(
      `tenant "${tenant}" had nothing yet${atMs === undefined ? '' : ` at ${iso(atMs)}`}`,
      log.firstMs === undefined ? undefined : `Its log begins at ${iso(log.firstMs)}: ask for a time from then on.`,
    );
  return {
    tenant,
    ...(base === undefined ? {} : { base }),
    segments: log.segments,
    ...(atMs === undefined ? {} : { atMs }),
    records: log.records,
    ...(log.lastRecordMs === undefined ? {} : { lastRecordMs: log.lastRecordMs }),
    skipped,
  };
}

async function refuseUnknown(target: BackupTarget, tenant: string): Promise<void> {
  if ((await target.list(`${tenant}/`)).length > 0) return;
  const others = [...new Set((await target.list('')).map(({ name }) => tenantOf(name)))];
  const there = others.length === 0 ? 'there are none at all' : `there are those of ${others.join(', ')}`;
  throw new MissingBackupError(`there are no backups of tenant "${tenant}" in ${target.name}: ${there}`);
}

/** The newest first; those whose manifest is no good are skipped. */
async function basesOfTenant(target: BackupTarget, tenant: string, skipped: string[]): Promise<PlannedBase[]> {
  const objects = await target.list(basesOf(tenant));
  const files = new Set(objects.map(({ name }) => name));
  const bases: PlannedBase[] = [];
  for (const { name } of objects.toReversed()) {
    if (!name.endsWith('.json')) continue;
    const file = name.replace(/\.json$/, '.db');
    try {
      const manifest = decodeManifest((await target.read(name)).toString('utf8'), name);
      if (Date.parse(manifest.began) !== baseTime(name))
        throw new DamagedBackupError(name, `is of a base that began at ${manifest.began}`);
      if (manifest.tenant !== tenant) throw new DamagedBackupError(name, `is of tenant "${manifest.tenant}"`);
      if (!files.has(file)) throw new DamagedBackupError(file, 'is missing, but its manifest is there');
      bases.push({ name: file, manifest });
    } catch (error) {
      if (!(error instanceof DamagedBackupError)) throw error;
      skipped.push(error.message);
    }
  }
  return bases.sort((a, b) => (a.manifest.finished < b.manifest.finished ? 1 : -1));
}

async function newestSound(
  target: BackupTarget,
  tenant: string,
  bases: readonly PlannedBase[],
  { atMs, actor }: { readonly atMs: number | undefined; readonly actor: ActorName | undefined },
  skipped: string[],
): Promise<PlannedBase | undefined> {
  for (const base of bases) {
    if (atMs !== undefined && Date.parse(base.manifest.finished) > atMs) continue;
    try {
      const reason = await checkFile(target, tenant, base, actor);
      if (reason === undefined) return base;
      skipped.push(`in ${base.name} the actor is closed off: ${reason}`);
    } catch (error) {
      if (!(error instanceof DamagedBackupError)) throw error;
      skipped.push(error.message);
    }
  }
  return undefined;
}

/**
 * It was verified when it was made: with the same SHA-256 it is as good as it was then.
 * @returns why the actor is closed off in it, undefined when it is not
 */
async function checkFile(
  target: BackupTarget,
  tenant: string,
  { name, manifest }: PlannedBase,
  actor: ActorName | undefined,
): Promise<string | undefined> {
  const directory = mkdtempSync(join(tmpdir(), 'fermata-restore-'));
  try {
    const path = join(tenantDirectory(directory, tenant), 'tenant.db');
    makeDirectory(dirname(path));
    await target.get(name, path);
    checkDigest(await digest(path), manifest, tenant, name);
    return actor === undefined
      ? undefined
      : readTenant(directory, tenant, (file) => file?.closedReason(actor.type, actor.id));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

interface PlannedLog {
  readonly segments: readonly string[];
  readonly records: number;
  readonly lastRecordMs: number | undefined;
  /** When the first record of all was committed, and the last. */
  readonly firstMs: number | undefined;
  readonly reachMs: number;
  readonly broken: LogBreak | undefined;
}

async function readLog(
  target: BackupTarget,
  tenant: string,
  base: PlannedBase | undefined,
  atMs = Infinity,
): Promise<PlannedLog> {
  const segments: string[] = [];
  let [records, lastRecordMs, firstMs, reachMs] = [0, -1, Infinity, 0];
  let broken: LogBreak | undefined;
  const { logFrom, began } = base?.manifest ?? { logFrom: 1, began: undefined };
  const steps =
    logFrom === undefined
      ? newerThan(target, tenant, base!)
      : walkLog(target, tenant, logFrom, began === undefined ? began : Date.parse(began));
  for await (const step of steps) {
    if (step.kind === 'break') {
      broken = step.broken;
      break;
    }
    segments.push(step.read.name);
    for (const record of step.read.segment?.records ?? []) {
      firstMs = Math.min(firstMs, record.atMs);
      reachMs = Math.max(reachMs, record.atMs);
      if (record.atMs > atMs) continue;
      records += 1;
      lastRecordMs = Math.max(lastRecordMs, record.atMs);
    }
  }
  return {
    segments,
    records,
    lastRecordMs: records === 0 ? undefined : lastRecordMs,
    firstMs: firstMs === Infinity ? undefined : firstMs,
    reachMs,
    broken,
  };
}

/** A base that was made while nothing was archived. What the log has beyond it may not be all there was: that is a gap. */
async function* newerThan(
  target: BackupTarget,
  tenant: string,
  { name, manifest }: PlannedBase,
): AsyncGenerator<ChainStep> {
  const finishedMs = Date.parse(manifest.finished);
  for (const part of (await listLog(target, tenant)).toReversed()) {
    if (!(await holdsNewer(target, tenant, part, finishedMs))) continue;
    const what = `${name} was made while nothing was archived`;
    yield { kind: 'break', broken: { kind: 'gap', what, goesOn: undefined } };
    return;
  }
}

/** What is damaged may hold anything. */
async function holdsNewer(target: BackupTarget, tenant: string, part: LogPart, thanMs: number): Promise<boolean> {
  try {
    const { segment } = await readSegment(target, tenant, part);
    return segment?.records.some(({ atMs }) => atMs > thanMs) === true;
  } catch (error) {
    if (error instanceof DamagedBackupError) return true;
    throw error;
  }
}

/** Neither a base nor a log that begins with the tenant. */
function noBeginning(
  tenant: string,
  bases: readonly PlannedBase[],
  atMs: number | undefined,
  skipped: readonly string[],
  broken: LogBreak | undefined,
): RestoreRefusal {
  const oldest = bases.at(-1)?.manifest.finished;
  if (atMs !== undefined && oldest !== undefined && Date.parse(oldest) > atMs)
    return new RestoreRefusal(
      `the oldest base of tenant "${tenant}" is of ${oldest}, which is after ${iso(atMs)}`,
      `Ask for ${oldest} or later.`,
    );
  if (skipped.length > 0)
    return new RestoreRefusal(
      `no base of tenant "${tenant}" can be used: ${skipped.join('; ')}`,
      'Look for another copy of the backups.',
    );
  const why = broken === undefined ? '' : `: ${broken.what}`;
  return new RestoreRefusal(
    `tenant "${tenant}" has no base, and its log does not begin with it${why}`,
    'Make a base: fermata backup',
  );
}

function incomplete(tenant: string, broken: LogBreak, reachMs: number, atMs: number | undefined): RestoreRefusal {
  const from = iso(reachMs);
  const to = broken.goesOn === undefined ? 'on' : `to ${broken.goesOn}`;
  return new RestoreRefusal(
    `the log of tenant "${tenant}" does not hold what was committed from ${from} ${to}: ${broken.what}`,
    `Ask for ${from} or before${atMs === undefined || broken.goesOn === undefined ? '' : ', or for the time of a base that was made after it'}.`,
  );
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
