/**
 * Segments of a tenant's log as bytes: lines of UTF-8, the first a header, every other a committed journal entry.
 *
 *     crc32, 8 hex digits · rest
 *     rest of the header: {"log":1,"tenant":"acme","number":7,"began":"2026-11-21T10:15:00.123Z","after":"previous"}
 *     rest of a record:   time of the commit in milliseconds · the entry's text (storage/entry.ts)
 *
 * The dot is a tab. The CRC covers everything after it, so that a flipped bit is found, that of a line feed included. An
 * entry has tabs of its own, but never a line feed. Segments grow by appends: a last line without a line feed is what a
 * killed process left of one, and was acknowledged by nobody as archived. It is no damage, except in a segment that is
 * sealed. A record that is there twice is normal after a crash: applying an entry twice changes nothing.
 */
import { strict as assert } from 'node:assert';
import { isTenant } from '../protocol/address.ts';
import { DamagedBackupError } from './errors.ts';
import { hexCrc } from './hex-crc.ts';
import { isTime } from './manifest.ts';
import { isSegmentNumber } from './names.ts';
import { isSealed, unseal } from './seal.ts';

export interface SegmentHeader {
  /** Of this format. */
  readonly log: 1;
  readonly tenant: string;
  readonly number: number;
  /** ISO 8601, milliseconds, UTC. */
  readonly began: string;
  /** The tenant had nothing before · continues segment number-1 without loss · entries are missing before it. */
  readonly after: 'start' | 'previous' | 'gap';
}

export interface SegmentRecord {
  /** When the entry was committed. */
  readonly atMs: number;
  readonly entry: string;
}

export interface Segment {
  readonly header: SegmentHeader;
  readonly records: readonly SegmentRecord[];
  /** The last append was cut off, and its last line is left out. */
  readonly torn: boolean;
}

/** With its line feed. */
export function encodeHeader({ log, tenant, number, began, after }: SegmentHeader): string {
  return encodeLine(JSON.stringify({ log, tenant, number, began, after }));
}

/** With its line feed. */
export function encodeRecord(atMs: number, entry: string): string {
  assert(Number.isSafeInteger(atMs) && atMs >= 0, 'a commit has a time in whole milliseconds');
  assert(!entry.includes('\n'), 'an entry is one line');
  return encodeLine(`${atMs}\t${entry}`);
}

function encodeLine(rest: string): string {
  return `${hexCrc(rest)}\t${rest}\n`;
}

/** Sealed or not, as it was read. `name`: the object, for the error. @throws DamagedBackupError naming the line */
export function decodeSegment(bytes: Buffer, name: string): Segment {
  const sealed = isSealed(bytes);
  const text = sealed ? unseal(bytes, name) : bytes;
  const mayBeTorn = !sealed && !name.endsWith('.gz');
  const records: SegmentRecord[] = [];
  let header: SegmentHeader | undefined;
  let at = 0;
  for (let line = 1; at < text.length; line += 1) {
    const end = text.indexOf(0x0a, at);
    if (end < 0) break;
    const rest = checkedLine(text.subarray(at, end));
    if (rest === undefined) throw new DamagedBackupError(name, `fails its check in line ${line}`);
    if (header === undefined) header = readHeader(rest, name);
    else records.push(readRecord(rest, name, line));
    at = end + 1;
  }
  if (header === undefined) throw new DamagedBackupError(name, 'has no whole first line');
  const tail = text.subarray(at);
  // What is whole but for its last byte was not cut off: that byte was its line feed.
  if (tail.length > 0 && (!mayBeTorn || checkedLine(tail.subarray(0, -1)) !== undefined)) {
    throw new DamagedBackupError(name, `fails its check in line ${records.length + 2}, the last one`);
  }
  return { header, records, torn: tail.length > 0 };
}

const restAt = 9;

/** What the CRC covers, undefined when it fails. Of the bytes: text that is no UTF-8 would be mended by reading it. */
function checkedLine(line: Buffer): string | undefined {
  const rest = line.subarray(restAt);
  return line.toString('latin1', 0, restAt) === `${hexCrc(rest)}\t` ? rest.toString('utf8') : undefined;
}

function readHeader(rest: string, name: string): SegmentHeader {
  const { log, tenant, number, began, after } = parseObject(rest);
  if (log !== 1) throw new DamagedBackupError(name, 'does not begin with a header that this version of Fermata reads');
  if (isTenant(tenant) && isSegmentNumber(number) && isTime(began) && isAfter(after)) {
    return { log, tenant, number, began, after };
  }
  throw new DamagedBackupError(name, 'has a header that lacks tenant, number, began or after');
}

function parseObject(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function isAfter(value: unknown): value is SegmentHeader['after'] {
  return value === 'start' || value === 'previous' || value === 'gap';
}

function readRecord(rest: string, name: string, line: number): SegmentRecord {
  const tab = rest.indexOf('\t');
  const time = rest.slice(0, Math.max(tab, 0));
  if (!/^\d{1,16}$/.test(time)) throw new DamagedBackupError(name, `has no record in line ${line}`);
  return { atMs: Number(time), entry: rest.slice(tab + 1) };
}
