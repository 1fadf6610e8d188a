/**
 * A journal row: the entries of one commit, with a table of contents of its own.
 *
 * Body and contents carry a CRC each, seeded with the row's number, so that a row under another number is noticed too.
 * Contents say when it was committed, and how many entries of which actor lie in the body: when the body is damaged they
 * still tell who is hit.
 */
import { crc32 } from 'node:zlib';
import { type Address, addressKey } from '../protocol/address.ts';
import type { JournalEntry, JournalRow } from './contract.ts';
import { decodeEntry, encodeEntries } from './entry.ts';

/** As it lies in the table. After damage a column may hold anything. */
export interface StoredRow {
  readonly journalSeq: number;
  readonly toc: unknown;
  readonly tocCrc: unknown;
  readonly body: unknown;
  readonly crc: unknown;
}

/** An actor whose acknowledged data is damaged or gone; `text` is what was found of it. */
export interface Damage {
  readonly address: Address;
  readonly text: string;
}

export type RowCheck =
  /** `body` holds the sound entries only; `atMs` as in JournalRow. */
  | { readonly kind: 'readable'; readonly atMs?: number; readonly body: string; readonly damage: readonly Damage[] }
  /** Nobody can say whose entries were in it. */
  | { readonly kind: 'unreadable' };

export interface PackedRow {
  readonly toc: string;
  readonly tocCrc: number;
  readonly body: string;
  readonly crc: number;
}

export function packRow(journalSeq: number, atMs: number, entries: readonly JournalEntry[]): PackedRow {
  const toc = contents(atMs, entries);
  const body = encodeEntries(entries);
  return { toc, tocCrc: sum(journalSeq, toc), body, crc: sum(journalSeq, body) };
}

export function checkRow({ journalSeq, toc, tocCrc, body, crc }: StoredRow): RowCheck {
  const isTocSound = typeof toc === 'string' && sum(journalSeq, toc) === tocCrc;
  const atMs = isTocSound ? commitTime(toc) : {};
  if (typeof body === 'string' && sum(journalSeq, body) === crc) return { kind: 'readable', ...atMs, body, damage: [] };
  if (!isTocSound) return { kind: 'unreadable' };
  return { kind: 'readable', ...atMs, ...salvage(toc, typeof body === 'string' ? body : '') };
}

/** Undefined when any of it fails its check. */
export function soundRow(stored: StoredRow): JournalRow | undefined {
  const check = checkRow(stored);
  if (check.kind === 'unreadable' || check.damage.length > 0) return undefined;
  const { atMs, body } = check;
  return { journalSeq: stored.journalSeq, ...(atMs === undefined ? {} : { atMs }), body };
}

/** The time, then one line per actor: count, tenant, type, id, joined by tabs. Names hold no control characters. */
function contents(atMs: number, entries: readonly JournalEntry[]): string {
  // By identity, which is cheap and usually right; an actor that appears under two objects has two lines, and they add up.
  const counts = new Map<Address, number>();
  for (const { address } of entries) counts.set(address, (counts.get(address) ?? 0) + 1);
  let toc = `@${atMs}`;
  for (const [{ tenant, type, id }, count] of counts) toc += `\n${count}\t${tenant}\t${type}\t${id}`;
  return toc;
}

/** Nothing for a row of a former format. */
function commitTime(toc: string): { atMs?: number } {
  return toc.startsWith('@') ? { atMs: Number.parseInt(toc.slice(1), 10) } : {};
}

/** Keeps the entries that are sound, and blames every actor that has fewer of them than the contents say. */
function salvage(toc: string, body: string): { body: string; damage: Damage[] } {
  const missing = new Map<string, { address: Address; count: number; text: string }>();
  for (const line of toc.split('\n')) {
    if (line === '' || line.startsWith('@')) continue;
    const [count, tenant, type, id] = line.split('\t') as [string, string, string, string];
    const address = { tenant, type, id };
    const known = missing.get(addressKey(address)) ?? { address, count: 0, text: '' };
    known.count += Number(count);
    missing.set(addressKey(address), known);
  }
  const sound: string[] = [];
  const broken: string[] = [];
  for (const text of body.split('\n')) {
    const decoded = decodeEntry(text);
    if (decoded.kind === 'corrupt') {
      broken.push(text);
      continue;
    }
    const known = missing.get(addressKey(decoded.entry.address));
    if (known !== undefined) known.count -= 1;
    sound.push(text);
  }
  const damage: Damage[] = [];
  for (const { address, count } of missing.values()) if (count !== 0) damage.push({ address, text: broken.join('\n') });
  return { body: sound.join('\n'), damage };
}

function sum(journalSeq: number, text: string): number {
  return crc32(text, journalSeq >>> 0);
}
