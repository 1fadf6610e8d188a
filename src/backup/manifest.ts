/**
 * What is known of a base, as JSON beside it, for programs and for people. It is written last, so that a base exists when
 * its manifest does.
 *
 * The field `crc` covers the values of all others, so that a flipped bit in the manifest itself is found too, and is not
 * blamed on the base.
 */
import { isTenant } from '../protocol/address.ts';
import { DamagedBackupError } from './errors.ts';
import { hexCrc } from './hex-crc.ts';
import { isSegmentNumber } from './names.ts';

export interface Manifest {
  readonly format: 1;
  readonly tenant: string;
  /** ISO 8601, milliseconds, UTC. The base holds everything acknowledged before it began, nothing after it was finished. */
  readonly began: string;
  readonly finished: string;
  /** Number of commits that the tenant file has seen (meta `writes`). */
  readonly sequence: number;
  /** Number of the first segment with entries that the base may lack; undefined when nothing is archived. */
  readonly logFrom?: number;
  /** The log does not lead here from the base before: what was committed after this one can be reached from it alone. */
  readonly behindGap?: true;
  /** Of the whole file, 64 hex digits. */
  readonly sha256: string;
  readonly bytes: number;
  /** Rows by table. */
  readonly rows: Readonly<Record<string, number>>;
  readonly versions: {
    readonly fermata: string;
    readonly sqlite: string;
    /** Of the tenant file's format. */
    readonly file: number;
  };
}

export function encodeManifest(manifest: Manifest): string {
  const { format, tenant, began, finished, sequence, logFrom, behindGap, sha256, bytes, rows, versions } = manifest;
  const { fermata, sqlite, file } = versions;
  const fields = {
    format,
    tenant,
    began,
    finished,
    sequence,
    ...(logFrom === undefined ? {} : { logFrom }),
    ...(behindGap === undefined ? {} : { behindGap }),
    sha256,
    bytes,
    rows: { ...rows },
    versions: { fermata, sqlite, file },
  };
  return `${JSON.stringify({ ...fields, crc: hexCrc(JSON.stringify(fields)) }, null, 2)}\n`;
}

/** `name`: the object, for the error. @throws DamagedBackupError naming what is wrong */
export function decodeManifest(text: string, name: string): Manifest {
  const { crc, ...fields } = parse(text, name);
  if (crc !== hexCrc(JSON.stringify(fields))) throw new DamagedBackupError(name, 'does not fit its own checksum');
  const { format, tenant, began, finished, sequence, logFrom, behindGap, sha256, bytes, rows, versions } = fields;
  const demand = (holds: boolean, field: string, wanted: string): void => {
    if (holds) return;
    throw new DamagedBackupError(name, `has ${JSON.stringify(fields[field]) ?? 'nothing'} as ${field}, not ${wanted}`);
  };
  demand(format === 1, 'format', '1, the one that this version of Fermata reads');
  demand(isTenant(tenant), 'tenant', 'the name of a tenant');
  demand(isTime(began), 'began', 'a time such as 2026-11-21T10:15:00.123Z');
  demand(isTime(finished), 'finished', 'a time such as 2026-11-21T10:15:00.123Z');
  demand(isCount(sequence), 'sequence', 'a whole number');
  demand(logFrom === undefined || isSegmentNumber(logFrom), 'logFrom', 'the number of a segment');
  demand(behindGap === undefined || behindGap === true, 'behindGap', 'true, or absent');
  demand(typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256), 'sha256', '64 hex digits');
  demand(isCount(bytes), 'bytes', 'a whole number');
  demand(isRecord(rows) && Object.values(rows).every(isCount), 'rows', 'a whole number for each table');
  demand(isVersions(versions), 'versions', 'those of fermata, sqlite and the file');
  return fields as unknown as Manifest;
}

function parse(text: string, name: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new DamagedBackupError(name, 'is no JSON', { cause: error });
  }
  if (!isRecord(value)) throw new DamagedBackupError(name, 'is no manifest: it must be a JSON object');
  return value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

export function isTime(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  const atMs = Date.parse(value);
  return !Number.isNaN(atMs) && new Date(atMs).toISOString() === value;
}

function isVersions(value: unknown): boolean {
  if (!isRecord(value)) return false;
  return typeof value['fermata'] === 'string' && typeof value['sqlite'] === 'string' && isCount(value['file']);
}
