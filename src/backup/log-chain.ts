/**
 * A tenant's log as a reader sees it: segments in the order of their numbers, for as far as nothing is missing.
 *
 * Invariants: one segment is in memory at a time · every record is an entry of this tenant whose own check holds · where
 * something is missing or damaged the walk ends with a break that says from when to when nobody knows what was committed.
 */
import { crcHolds, readParts } from '../storage/entry.ts';
import { DamagedBackupError, MissingBackupError } from './errors.ts';
import { segmentNumber, segmentsOf } from './names.ts';
import { decodeSegment, type Segment } from './segment.ts';
import type { BackupTarget } from './target.ts';

/** A number of the log, and the objects that hold it: two when its process was killed while it was sealed. */
export interface LogPart {
  readonly number: number;
  /** The one to read first comes first. */
  readonly names: readonly string[];
  readonly bytes: number;
}

export interface ReadSegment {
  readonly name: string;
  readonly number: number;
  /** Undefined when its first append was cut off: then it holds nothing. */
  readonly segment: Segment | undefined;
}

/** Why the log ends before its newest segment. */
export interface LogBreak {
  readonly kind: 'gap' | 'missing' | 'damaged';
  /** The end of a sentence: "… is damaged". */
  readonly what: string;
  /** When it goes on, ISO 8601; undefined when nobody knows. */
  readonly goesOn: string | undefined;
}

export type ChainStep =
  | { readonly kind: 'segment'; readonly read: ReadSegment }
  | { readonly kind: 'break'; readonly broken: LogBreak };

export async function listLog(target: BackupTarget, tenant: string): Promise<LogPart[]> {
  const parts = new Map<number, { number: number; names: string[]; bytes: number }>();
  for (const { name, bytes } of await target.list(segmentsOf(tenant))) {
    const number = segmentNumber(name);
    if (Number.isNaN(number)) continue;
    const part = parts.get(number) ?? { number, names: [], bytes: 0 };
    parts.set(number, part);
    if (name.endsWith('.gz')) part.names.unshift(name);
    else part.names.push(name);
    part.bytes += bytes;
  }
  return [...parts.values()].sort((a, b) => a.number - b.number);
}

/**
 * From segment `from` on. `beganMs`: when the base began that is brought up to date; a gap that was told before then is in
 * the base. Undefined: there is no base, and the first segment must be the tenant's first.
 */
export async function* walkLog(
  target: BackupTarget,
  tenant: string,
  from: number,
  beganMs: number | undefined,
): AsyncGenerator<ChainStep> {
  const parts = (await listLog(target, tenant)).filter(({ number }) => number >= from);
  let expected = from;
  for (const [at, part] of parts.entries()) {
    if (part.number !== expected) {
      const lost =
        expected === part.number - 1 ? `segment ${expected} is` : `segments ${expected} to ${part.number - 1} are`;
      yield {
        kind: 'break',
        broken: { kind: 'missing', what: `${lost} missing`, goesOn: await beginOf(target, tenant, part) },
      };
      return;
    }
    expected += 1;
    let read: ReadSegment;
    try {
      read = await readSegment(target, tenant, part);
    } catch (error) {
      if (!(error instanceof DamagedBackupError)) throw error;
      const next = parts[at + 1];
      const goesOn = next === undefined ? undefined : await beginOf(target, tenant, next);
      yield { kind: 'break', broken: { kind: 'damaged', what: error.message, goesOn } };
      return;
    }
    const header = read.segment?.header;
    if (header !== undefined && !follows(header, part.number === from, beganMs)) {
      const what = `${read.name} begins behind a gap`;
      yield { kind: 'break', broken: { kind: 'gap', what, goesOn: header.began } };
      return;
    }
    yield { kind: 'segment', read };
  }
}

function follows({ after, began }: Segment['header'], isFirst: boolean, beganMs: number | undefined): boolean {
  if (!isFirst) return after === 'previous';
  if (beganMs === undefined) return after === 'start';
  return after === 'previous' || Date.parse(began) <= beganMs;
}

async function beginOf(target: BackupTarget, tenant: string, part: LogPart): Promise<string | undefined> {
  try {
    return (await readSegment(target, tenant, part)).segment?.header.began;
  } catch (error) {
    if (error instanceof DamagedBackupError) return undefined;
    throw error;
  }
}

/** The first of its objects that is sound. @throws DamagedBackupError for the first when none is */
export async function readSegment(
  target: BackupTarget,
  tenant: string,
  { number, names }: LogPart,
): Promise<ReadSegment> {
  let damage: DamagedBackupError | undefined;
  for (const name of names) {
    try {
      return { name, number, segment: await readObject(target, tenant, number, name) };
    } catch (error) {
      if (!(error instanceof DamagedBackupError)) throw error;
      damage ??= error;
    }
  }
  throw damage ?? new Error(`segment ${number} of tenant ${tenant} has no object`);
}

/** Undefined when its first append was cut off. @throws DamagedBackupError, MissingBackupError */
export async function readObject(
  target: BackupTarget,
  tenant: string,
  number: number,
  name: string,
): Promise<Segment | undefined> {
  const bytes = await readBytes(target, name);
  if (isTornHeader(bytes, name)) return undefined;
  const segment = decodeSegment(bytes, name);
  const { header } = segment;
  if (header.tenant !== tenant || header.number !== number)
    throw new DamagedBackupError(name, `is segment ${header.number} of tenant "${header.tenant}" by its header`);
  for (const [at, { entry }] of segment.records.entries()) {
    if (!crcHolds(entry) || readParts(entry).address.tenant !== tenant)
      throw new DamagedBackupError(name, `has something else than an entry of tenant "${tenant}" in line ${at + 2}`);
  }
  return segment;
}

/** What was listed may have been sealed since. */
async function readBytes(target: BackupTarget, name: string): Promise<Buffer> {
  try {
    return await target.read(name);
  } catch (error) {
    if (!(error instanceof MissingBackupError) || !name.endsWith('.log')) throw error;
    return await target.read(`${name}.gz`);
  }
}

const lineFeed = 0x0a;

/** A first line that was cut off, and not a whole one whose line feed was flipped into something else. */
function isTornHeader(bytes: Buffer, name: string): boolean {
  if (name.endsWith('.gz') || bytes.includes(lineFeed)) return false;
  const end = bytes.indexOf('}') + 1;
  if (end === 0 || end === bytes.length) return beginsAsHeader(bytes.toString('latin1'));
  try {
    decodeSegment(Buffer.concat([bytes.subarray(0, end), Buffer.of(lineFeed)]), name);
    return false;
  } catch {
    return true;
  }
}

const headerBegin = '\t{"log":1,"tenant":"';

/** As far as it goes: anything else was not left by an append. */
function beginsAsHeader(text: string): boolean {
  const [crc, rest] = [text.slice(0, 8), text.slice(8, 8 + headerBegin.length)];
  return /^[0-9a-f]*$/.test(crc) && headerBegin.startsWith(rest);
}
