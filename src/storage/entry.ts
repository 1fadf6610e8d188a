/**
 * Journal entries as text. A row's body is entries joined by line feeds; an entry is four or five fields joined by tabs:
 *
 *     crc32, 8 hex digits · header `["tenant","type","id",seq,version,"kind"]` · state or patches · call · trail
 *     call: empty, or `["key","args","ok","result as JSON text",atMs]`, or `["key","args","error",{error body},atMs]`
 *     trail: left out with its tab when there is none, as in every entry of the first format; else see trail-text.ts
 *
 * JSON text never holds a raw tab or line feed, so that fields and entries are found without parsing them. The CRC covers
 * everything after it. Writing is string concatenation and one CRC, because every call passes here; reading the header
 * alone is enough to know where an entry belongs, and the payload stays unparsed until somebody needs it. What says who
 * an actor is repeats with every turn, so that its text is remembered, both ways.
 */
import { strict as assert } from 'node:assert';
import { crc32 } from 'node:zlib';
import type { Address } from '../protocol/address.ts';
import type { CallRecord, JournalEntry } from './contract.ts';
import { decodeOutcome, encodeOutcome } from './outcome-text.ts';
import { quoted } from './quoted.ts';
import { decodeTrail, encodeTrail } from './trail-text.ts';

export type ChangeKind = 'none' | 'state' | 'patches';

/** An entry with its header read and the rest as it lies there. */
export interface EntryParts {
  readonly address: Address;
  readonly seq: number;
  readonly version: number;
  readonly kind: ChangeKind;
  /** State or patches as JSON text, '' for `none`. */
  readonly payload: string;
  /** The call's field, '' without one. */
  readonly call: string;
  /** The trail's field, '' without one. */
  readonly trail: string;
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

export function encodeEntry({ address, seq, version, change, call, trail }: JournalEntry): string {
  const payload = change.kind === 'none' ? '' : change.text;
  const callText = call === undefined ? '' : encodeCall(call);
  return encodeParts(
    address,
    seq,
    version,
    change.kind,
    payload,
    callText,
    trail === undefined ? '' : encodeTrail(trail),
  );
}

export function encodeParts(
  address: Address,
  seq: number,
  version: number,
  kind: ChangeKind,
  payload: string,
  call: string,
  trail: string,
): string {
  assert(!payload.includes('\n') && !payload.includes('\t'), 'state and patches must be compact JSON text');
  const end = trail === '' ? call : `${call}\t${trail}`;
  const text = `${headOf(address)}${seq},${version},"${kind}"]\t${payload}\t${end}`;
  return `${hexOf(crc32(text))}\t${text}`;
}

export function encodeCall({ key, args, outcome, atMs }: CallRecord): string {
  return `[${quoted(key)},${quoted(args)},${encodeOutcome(outcome)},${atMs}]`;
}

/**
 * What tells a call field from those of other keys, for use as a map key: its text up to the first `","`. A key that holds
 * this itself has its quotes escaped; one that ends in a quote and a comma is cut short, and then ends in a backslash as
 * no other does.
 */
export function callName(call: string): string {
  return call.slice(1, call.indexOf('","'));
}

/** The same, from the key alone. */
export function callNameOfKey(key: string): string {
  return callName(`[${quoted(key)},"`);
}

export function decodeCall(call: string): CallRecord {
  const [key, args, kind, end, atMs] = JSON.parse(call) as [string, string, string, unknown, number];
  return { key, args, outcome: decodeOutcome(kind, end), atMs };
}

/**
 * Reads the header only and checks nothing: for text that was just written by this process, or whose CRC was checked.
 * @throws SyntaxError when it is no entry
 */
export function readParts(text: string): EntryParts {
  const header = text.indexOf('\t') + 1;
  const payload = text.indexOf('\t', header) + 1;
  const call = text.indexOf('\t', payload) + 1;
  const trail = text.indexOf('\t', call) + 1;
  // From the end, because ids may hold what stands between the fields: "kind"], version, seq.
  const kindAt = text.lastIndexOf(',', payload - 2);
  const versionAt = text.lastIndexOf(',', kindAt - 1);
  const seqAt = text.lastIndexOf(',', versionAt - 1);
  const kind = text.slice(kindAt + 2, payload - 3);
  if (header < 1 || call < 1 || seqAt < header || (kind !== 'none' && kind !== 'state' && kind !== 'patches'))
    throw new SyntaxError('this is no journal entry');
  return {
    address: readHead(text.slice(header, seqAt + 1)),
    seq: numberAt(text, seqAt + 1, versionAt),
    version: numberAt(text, versionAt + 1, kindAt),
    kind,
    payload: text.slice(payload, call - 1),
    call: trail < 1 ? text.slice(call) : text.slice(call, trail - 1),
    trail: trail < 1 ? '' : text.slice(trail),
  };
}

export function decodeEntries(body: string): DecodedEntry[] {
  return body.split('\n').map(decodeEntry);
}

export function decodeEntry(text: string): DecodedEntry {
  if (!crcHolds(text)) return { kind: 'corrupt', text, address: guessAddress(text) };
  const { address, seq, version, kind, payload, call, trail } = readParts(text);
  return {
    kind: 'entry',
    entry: {
      address,
      seq,
      version,
      change: kind === 'none' ? { kind } : { kind, text: payload },
      call: call === '' ? undefined : decodeCall(call),
      trail: trail === '' ? undefined : decodeTrail(trail),
    },
  };
}

export function crcHolds(text: string): boolean {
  return text[8] === '\t' && hexOf(crc32(text.slice(9))) === text.slice(0, 8);
}

function guessAddress(text: string): Address | undefined {
  try {
    return readParts(text).address;
  } catch {
    return undefined;
  }
}

/** `["tenant","type","id",` of each address object that is in use. */
const heads = new WeakMap<Address, string>();

function headOf(address: Address): string {
  let head = heads.get(address);
  if (head === undefined) heads.set(address, (head = encodeHead(address)));
  return head;
}

function encodeHead({ tenant, type, id }: Address): string {
  return `["${tenant}","${type}",${quoted(id)},`;
}

/** The way back, by text. About the actors that a shard holds; emptied when full, because that is rare and simple. */
const addresses = new Map<string, Address>();
const addressesMax = 20_000;

function readHead(head: string): Address {
  const known = addresses.get(head);
  if (known !== undefined) return known;
  const [tenant, type, id] = JSON.parse(`${head}0]`) as [string, string, string];
  if (typeof tenant !== 'string' || typeof type !== 'string' || typeof id !== 'string')
    throw new SyntaxError('this is no journal entry');
  const address = { tenant, type, id };
  if (addresses.size >= addressesMax) addresses.clear();
  // Spelled anew: a slice would keep the whole row that it was cut from.
  addresses.set(encodeHead(address), address);
  return address;
}

/** Of digits only. */
function numberAt(text: string, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at += 1) value = value * 10 + text.charCodeAt(at) - 48;
  return value;
}

const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

function hexOf(crc: number): string {
  return `${hexOfByte[crc >>> 24]}${hexOfByte[(crc >>> 16) & 255]}${hexOfByte[(crc >>> 8) & 255]}${hexOfByte[crc & 255]}`;
}
