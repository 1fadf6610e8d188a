/**
 * Everything that lies in a target, or a part of it, held against what it says of itself: bases are restored as verify.ts
 * does, segments of the log are read, and their numbers must go on. Changes nothing.
 *
 * A problem is what makes a restore impossible or wrong. What a killed process leaves is none and comes as a note: a base
 * without manifest, an append that was cut off, a gap that the log itself tells of.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DamagedBackupError, MissingBackupError, RestoreRefusal } from './errors.ts';
import { readObject } from './log-chain.ts';
import { decodeManifest } from './manifest.ts';
import { baseTime, segmentNumber, tenantOf } from './names.ts';
import type { BackupTarget, BackupObject } from './target.ts';
import { VerifyPool } from './verify-pool.ts';

export interface VerifyBackupsScope {
  /** Undefined: all. */
  readonly tenant?: string | undefined;
  /** Only objects whose name begins with it; a base and its manifest are one. */
  readonly prefix?: string | undefined;
}

export interface ObjectReport {
  /** Of a base the name of its file, also when only its manifest is there. */
  readonly name: string;
  readonly tenant: string;
  /** `foreign`: Fermata did not put it there. */
  readonly kind: 'base' | 'segment' | 'foreign';
  readonly bytes: number;
  /** One sentence; undefined when it is good. */
  readonly problem?: string;
  /** Something to know that is no problem, one sentence. */
  readonly note?: string;
  /** Of a good base: actors that were loaded. */
  readonly actors?: number;
  /** Of a good segment. */
  readonly records?: number;
}

export interface VerifyProgress {
  readonly name: string;
  readonly bytes: number;
  readonly bytesTotal: number;
}

/** One report per base and segment, by name. @throws MissingBackupError when nothing is in scope */
export async function verifyBackups(
  target: BackupTarget,
  { tenant, prefix }: VerifyBackupsScope = {},
  progress: (progress: VerifyProgress) => void = () => undefined,
): Promise<ObjectReport[]> {
  const begins = prefix ?? (tenant === undefined ? '' : `${tenant}/`);
  const objects = await target.list(begins);
  const checks = [...checksOf(objects)].sort(([a], [b]) => (a < b ? -1 : 1));
  if (checks.length === 0)
    throw new MissingBackupError(`there are no backups${begins === '' ? '' : ` of ${begins}`} in ${target.name}`);
  const bytesTotal = objects.reduce((sum, { bytes }) => sum + bytes, 0);
  const pool = new VerifyPool();
  try {
    const reports: ObjectReport[] = [];
    let bytes = 0;
    let before: ObjectReport | undefined;
    for (const [name, check] of checks) {
      progress({ name, bytes, bytesTotal });
      const report = withLost(await checkOne(target, pool, name, check), before);
      reports.push(report);
      if (report.kind === 'segment') before = report;
      bytes += report.bytes;
    }
    progress({ name: '', bytes, bytesTotal });
    return reports;
  } finally {
    await pool.close();
  }
}

interface Base {
  readonly kind: 'base';
  readonly file: BackupObject | undefined;
  readonly manifest: BackupObject | undefined;
}

type Check =
  | Base
  | { readonly kind: 'segment'; readonly number: number; readonly object: BackupObject }
  | { readonly kind: 'foreign'; readonly object: BackupObject };

function checksOf(objects: readonly BackupObject[]): Map<string, Check> {
  const checks = new Map<string, Check>();
  for (const object of objects) {
    const number = segmentNumber(object.name);
    const [, base, ending] = /^(.*)\.(db|json)$/.exec(object.name) ?? [];
    if (!Number.isNaN(number)) checks.set(object.name, { kind: 'segment', number, object });
    else if (base === undefined || Number.isNaN(baseTime(object.name)))
      checks.set(object.name, { kind: 'foreign', object });
    else {
      const known = checks.get(`${base}.db`);
      const found = known?.kind === 'base' ? known : { kind: 'base' as const, file: undefined, manifest: undefined };
      checks.set(`${base}.db`, ending === 'db' ? { ...found, file: object } : { ...found, manifest: object });
    }
  }
  return checks;
}

async function checkOne(target: BackupTarget, pool: VerifyPool, name: string, check: Check): Promise<ObjectReport> {
  const { kind } = check;
  const bytes = kind === 'base' ? (check.file?.bytes ?? 0) + (check.manifest?.bytes ?? 0) : check.object.bytes;
  const head = { name, tenant: tenantOf(name), kind, bytes };
  try {
    if (kind === 'base') return { ...head, ...(await checkBase(target, pool, name, check)) };
    if (kind === 'segment') return { ...head, ...(await checkSegment(target, name, check.number)) };
    return { ...head, note: 'it is nothing that Fermata put there' };
  } catch (error) {
    if (error instanceof MissingBackupError) return { ...head, note: 'it was removed while the others were checked' };
    if (!(error instanceof DamagedBackupError) && !(error instanceof RestoreRefusal)) throw error;
    return { ...head, problem: error.message };
  }
}

type Found = Pick<ObjectReport, 'note' | 'actors' | 'records'>;

async function checkBase(target: BackupTarget, pool: VerifyPool, name: string, check: Base): Promise<Found> {
  if (check.manifest === undefined)
    return { note: 'it has no manifest: whoever made it was killed, and it is never used' };
  if (check.file === undefined) throw new DamagedBackupError(name, 'is missing, but its manifest is there');
  const manifest = decodeManifest((await target.read(check.manifest.name)).toString('utf8'), check.manifest.name);
  if (Date.parse(manifest.began) !== baseTime(name))
    throw new DamagedBackupError(check.manifest.name, `is of a base that began at ${manifest.began}`);
  const directory = mkdtempSync(join(tmpdir(), 'fermata-verify-'));
  try {
    const path = join(directory, 'base.db');
    await target.get(name, path);
    const { actors, rows } = await pool.verify(path, tenantOf(name), manifest, name);
    const closed = rows['quarantined'] ?? 0;
    return { actors, ...(closed === 0 ? {} : { note: `${closed} of its actors were closed off when it was made` }) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function checkSegment(target: BackupTarget, name: string, number: number): Promise<Found> {
  const segment = await readObject(target, tenantOf(name), number, name);
  const notes: string[] = [];
  if (segment === undefined || segment.torn) notes.push('its last append was cut off');
  if (segment?.header.after === 'gap') notes.push(`entries are missing before ${segment.header.began}`);
  return { records: segment?.records.length ?? 0, ...(notes.length === 0 ? {} : { note: notes.join('; ') }) };
}

/** A segment that is gone is no object, and so is told of with the one behind it. Old ones go: nobody misses those. */
function withLost(report: ObjectReport, before: ObjectReport | undefined): ObjectReport {
  if (report.kind !== 'segment' || before?.tenant !== report.tenant || report.problem !== undefined) return report;
  const [last, here] = [segmentNumber(before.name), segmentNumber(report.name)];
  if (here <= last + 1) return report;
  const lost = here === last + 2 ? `segment ${last + 1} is` : `segments ${last + 1} to ${here - 1} are`;
  return { ...report, problem: `${report.name} does not follow ${before.name}: ${lost} missing` };
}
