/**
 * Journal entries as text. A row's body is entries joined by line feeds; an entry is four fields joined by tabs:
 *
 *     crc32, 8 hex digits · header `["tenant","type","id",seq,version,"kind"]` · state or patches · call
 *     call: empty, or `["key","args","ok","result as JSON text",atMs]`, or `["key","args","error",{error body},atMs]`
 *
 * JSON text never holds a raw tab or line feed, so that fields and entries are found without parsing them. The CRC covers
 * everything after it. Writing is string concatenation and one CRC, because every call passes here; reading the header
 * alone is enough to know where an entry belongs, and the payload stays unparsed until somebody needs it.
 */
import { strict as assert } from 'node:assert';
import { crc32 } from 'node:zlib';
import type { Address } from '../protocol/address.ts';
import type { ErrorBody } from '../protocol/errors.ts';
import type { CallRecord, JournalEntry } from './contract.ts';

export type ChangeKind = 'none' | 'state' | 'patches';

/** An entry with its header read and the rest as it lies there. */
export interface EntryParts {
  readonly tenant: string;
  readonly type: string;
  readonly id: string;
  readonly seq: number;
  readonly version: number;
  readonly kind: ChangeKind;
  /** State or patches as JSON text, '' for `none`. */
  readonly payload: string;
  /** The call's field, '' without one. */
  readonly call: string;
}

export type DecodedEntry =
  | { readonly kind: 'entry'; readonly entry: JournalEntry }
  /** `address`: what the header says, as far as it can be read; under a failed CRC it is a hint and no more. */
  | { readonly kind: 'corrupt'; readonly text: string; readonly address: Address | undefined };

/** All entries of one row. */
export function encodeEntries(entries: readonly JournalEntry[]): string {
  let body = '';
  for (const entry of entries) body = body === '' ? encodeEntry(entry) : `${body}\n${encodeEntry(entry)}`;
  return body;
}

export function encodeEntry({ address, seq, version, change, call }: JournalEntry): string {
  const payload = change.kind === 'none' ? '' : change.text;
  return encodeParts(address, seq, version, change.kind, payload, call === undefined ? '' : encodeCall(call));
}

export function encodeParts(
  address: Address,
  seq: number,
  version: number,
  kind: ChangeKind,
  payload: string,
  call: string,
): string {
  assert(!payload.includes('\n') && !payload.includes('\t'), 'state and patches must be compact JSON text');
  const text = `["${address.tenant}","${address.type}",${JSON.stringify(address.id)},${seq},${version},"${kind}"]\t${payload}\t${call}`;
  return `${(crc32(text) + 0x1_0000_0000).toString(16).slice(1)}\t${text}`;
}

export function encodeCall({ key, args, outcome, atMs }: CallRecord): string {
  const end =
    outcome.kind === 'ok' ? `"ok",${JSON.stringify(outcome.result)}` : `"error",${JSON.stringify(outcome.error)}`;
  return `[${JSON.stringify(key)},${JSON.stringify(args)},${end},${atMs}]`;
}

/** Is this call field one of that key? Compares text, because the key stands first and has one spelling. */
export function isCallOf(call: string, key: string): boolean {
  return call.startsWith(`[${JSON.stringify(key)},`);
}

export function decodeCall(call: string): CallRecord {
  const [key, args, kind, end, atMs] = JSON.parse(call) as [string, string, string, unknown, number];
  return {
    key,
    args,
    outcome: kind === 'ok' ? { kind, result: end as string } : { kind: 'error', error: end as ErrorBody },
    atMs,
  };
}

/** Reads the header only and checks nothing: for text that was just written by this process, or whose CRC was checked. */
export function readParts(text: string): EntryParts {
  const header = text.indexOf('\t') + 1;
  const payload = text.indexOf('\t', header) + 1;
  const call = text.indexOf('\t', payload) + 1;
  const [tenant, type, id, seq, version, kind] = JSON.parse(text.slice(header, payload - 1)) as [
    string,
    string,
    string,
    number,
    number,
    ChangeKind,
  ];
  return { tenant, type, id, seq, version, kind, payload: text.slice(payload, call - 1), call: text.slice(call) };
}

export function decodeEntries(body: string): DecodedEntry[] {
  return body.split('\n').map(decodeEntry);
}

export function decodeEntry(text: string): DecodedEntry {
  if (!crcHolds(text)) return { kind: 'corrupt', text, address: guessAddress(text) };
  const { tenant, type, id, seq, version, kind, payload, call } = readParts(text);
  const change = kind === 'none' ? { kind } : { kind, text: payload };
  return {
    kind: 'entry',
    entry: { address: { tenant, type, id }, seq, version, change, call: call === '' ? undefined : decodeCall(call) },
  };
}

function crcHolds(text: string): boolean {
  return text[8] === '\t' && (crc32(text.slice(9)) + 0x1_0000_0000).toString(16).slice(1) === text.slice(0, 8);
}

function guessAddress(text: string): Address | undefined {
  try {
    const { tenant, type, id } = readParts(text);
    return typeof tenant === 'string' && typeof type === 'string' && typeof id === 'string'
      ? { tenant, type, id }
      : undefined;
  } catch {
    return undefined;
  }
}
