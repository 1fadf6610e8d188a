/**
 * Texts of all messages between gateways and runtimes: one header line of words parted by blanks, then a body.
 *
 *   calls     1 <gateway> <link> <seq> <sentAtMs> <sends> <epoch>⏎<inbound frame>
 *   out       1 F <slot> <epoch> <seq> <piece>⏎<records>        answers; piece: 0 whole, 1 first, 2 middle, 3 last
 *             1 S <runtime>⏎<slot> <epoch> <seq>⏎…              the last seq that was sent of each slot
 *             1 H <runtime>⏎<slot> <epoch>⏎…                    hello: these slots are served by this runtime
 *             1 L <slot> <epoch> <link>⏎                        frames of this link were lost
 *   in        1 P <gateway> <slot> <epoch> <link> <part> <last>⏎<inbound frame>
 *   beat      1 B <gateway>⏎ · 1 Q <gateway>⏎                   alive · closing
 *
 * Bodies are UTF-8. One that UTF-8 cannot carry (half of a surrogate pair) goes as UTF-16, and the version is then `1w`.
 * `sends`: how often it was published before · `epoch`: the one that its gateway knew when it published it first, 0 for none.
 *
 * Reading never throws: what is malformed is undefined. Peers are other processes, perhaps of another version.
 */
import { idPattern, slots } from './nats-names.ts';

export interface CallsHeader {
  readonly gateway: string;
  /** Generation of the gateway's link to the slot, from 1. */
  readonly link: number;
  /** 1, 2, 3… within the link. */
  readonly seq: number;
  readonly sentAtMs: number;
  readonly sends: number;
  readonly epoch: number;
}

export interface CallsMessage extends CallsHeader {
  readonly text: string;
}

export const pieces = { whole: 0, first: 1, middle: 2, last: 3 } as const;

export interface AnswerMessage {
  readonly kind: 'answer';
  readonly slot: number;
  readonly epoch: number;
  readonly seq: number;
  readonly piece: number;
  readonly records: string;
}

export interface SlotPosition {
  readonly slot: number;
  readonly epoch: number;
  readonly seq: number;
}

export type OutMessage =
  | AnswerMessage
  | { readonly kind: 'sync'; readonly runtime: string; readonly slots: readonly SlotPosition[] }
  | { readonly kind: 'hello'; readonly runtime: string; readonly slots: readonly Omit<SlotPosition, 'seq'>[] }
  | { readonly kind: 'lost'; readonly slot: number; readonly epoch: number; readonly link: number };

export interface PresencePart {
  readonly gateway: string;
  readonly slot: number;
  readonly epoch: number;
  readonly link: number;
  /** 1, 2, 3… */
  readonly part: number;
  readonly last: boolean;
  readonly text: string;
}

export interface Beat {
  readonly gateway: string;
  readonly closing: boolean;
}

export function writeCalls(header: CallsHeader, text: string): Uint8Array {
  const { gateway, link, seq, sentAtMs, sends, epoch } = header;
  return write(`${gateway} ${link} ${seq} ${sentAtMs} ${sends} ${epoch}`, text);
}

export function readCalls(data: Uint8Array): CallsMessage | undefined {
  const message = read(data);
  if (message === undefined || message.words.length !== 7) return undefined;
  const [, gateway = '', ...rest] = message.words;
  const [link, seq, sentAtMs, sends, epoch] = rest.map(count);
  if (!idPattern.test(gateway) || !link || !seq || sentAtMs === undefined) return undefined;
  if (sends === undefined || epoch === undefined) return undefined;
  return { gateway, link, seq, sentAtMs, sends, epoch, text: message.body() };
}

export function writeAnswer({ slot, epoch, seq, piece }: Omit<AnswerMessage, 'records'>, records: string): Uint8Array {
  return write(`F ${slot} ${epoch} ${seq} ${piece}`, records);
}

export function writeSync(runtime: string, positions: readonly SlotPosition[]): Uint8Array {
  return write(`S ${runtime}`, positions.map(({ slot, epoch, seq }) => `${slot} ${epoch} ${seq}`).join('\n'));
}

export function writeHello(runtime: string, positions: readonly Omit<SlotPosition, 'seq'>[]): Uint8Array {
  return write(`H ${runtime}`, positions.map(({ slot, epoch }) => `${slot} ${epoch}`).join('\n'));
}

export function writeLost(slot: number, epoch: number, link: number): Uint8Array {
  return write(`L ${slot} ${epoch} ${link}`, '');
}

export function readOut(data: Uint8Array): OutMessage | undefined {
  const message = read(data);
  const [, kind, first = '', ...rest] = message?.words ?? [];
  if (message === undefined) return undefined;
  const [epoch, third, piece] = rest.map(count);
  const slot = slotNumber(first);
  switch (kind) {
    case 'F':
      if (slot === undefined || !epoch || !third || piece === undefined || piece > 3) return undefined;
      return rest.length === 3
        ? { kind: 'answer', slot, epoch, seq: third, piece, records: message.body() }
        : undefined;
    case 'L':
      if (slot === undefined || !epoch || !third || rest.length !== 2) return undefined;
      return { kind: 'lost', slot, epoch, link: third };
    case 'S':
    case 'H': {
      const positions = readPositions(message.body(), kind === 'S' ? 3 : 2);
      if (!idPattern.test(first) || rest.length > 0 || positions === undefined) return undefined;
      return { kind: kind === 'S' ? 'sync' : 'hello', runtime: first, slots: positions };
    }
    case undefined:
    default:
      return undefined;
  }
}

/** What the nth of so many messages of one answer is. */
export function pieceOf(at: number, count: number): number {
  if (count === 1) return pieces.whole;
  if (at === 0) return pieces.first;
  return at === count - 1 ? pieces.last : pieces.middle;
}

export function writePresence({ gateway, slot, epoch, link, part, last, text }: PresencePart): Uint8Array {
  return write(`P ${gateway} ${slot} ${epoch} ${link} ${part} ${last ? 1 : 0}`, text);
}

export function readPresence(data: Uint8Array): PresencePart | undefined {
  const message = read(data);
  if (message === undefined || message.words.length !== 8) return undefined;
  const [, kind, gateway = '', slotWord = '', ...rest] = message.words;
  const [epoch, link, part, last] = rest.map(count);
  const slot = slotNumber(slotWord);
  if (kind !== 'P' || !idPattern.test(gateway) || slot === undefined) return undefined;
  if (!epoch || !link || !part || last === undefined || last > 1) return undefined;
  return { gateway, slot, epoch, link, part, last: last === 1, text: message.body() };
}

export function writeBeat({ gateway, closing }: Beat): Uint8Array {
  return write(`${closing ? 'Q' : 'B'} ${gateway}`, '');
}

export function readBeat(data: Uint8Array): Beat | undefined {
  const [, kind, gateway = '', ...rest] = read(data)?.words ?? [];
  if ((kind !== 'B' && kind !== 'Q') || rest.length > 0 || !idPattern.test(gateway)) return undefined;
  return { gateway, closing: kind === 'Q' };
}

function write(words: string, body: string): Uint8Array {
  if (body.isWellFormed()) return Buffer.from(`1 ${words}\n${body}`);
  return Buffer.concat([Buffer.from(`1w ${words}\n`), Buffer.from(body, 'utf16le')]);
}

interface Message {
  readonly words: readonly string[];
  /** Decoded when somebody wants it. */
  readonly body: () => string;
}

function read(data: Uint8Array): Message | undefined {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const end = bytes.subarray(0, headerCharsMax).indexOf(lineFeed);
  if (end < 0) return undefined;
  const words = bytes.toString('latin1', 0, end).split(' ');
  const [version] = words;
  if (version !== '1' && version !== '1w') return undefined;
  const encoding = version === '1' ? 'utf8' : 'utf16le';
  return { words, body: () => bytes.toString(encoding, end + 1) };
}

function readPositions(body: string, wordsOfLine: number): SlotPosition[] | undefined {
  if (body.length > positionsCharsMax) return undefined;
  const positions: SlotPosition[] = [];
  for (const line of body === '' ? [] : body.split('\n')) {
    const words = line.split(' ');
    const slot = slotNumber(words[0] ?? '');
    const epoch = count(words[1] ?? '');
    const seq = wordsOfLine === 3 ? count(words[2] ?? '') : 0;
    if (words.length !== wordsOfLine || slot === undefined || !epoch || seq === undefined) return undefined;
    positions.push({ slot, epoch, seq });
  }
  return positions;
}

function slotNumber(word: string): number | undefined {
  const slot = count(word);
  return slot !== undefined && slot < slots ? slot : undefined;
}

function count(word: string): number | undefined {
  return digits.test(word) ? Number(word) : undefined;
}

/** Up to 15 digits: exact as a number. */
const digits = /^\d{1,15}$/;
const lineFeed = 10;
const headerCharsMax = 256;
/** A line for every slot, and some. */
const positionsCharsMax = slots * 64;
