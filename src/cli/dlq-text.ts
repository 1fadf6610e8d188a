/** Dead letters as people and scripts read them. */
import { inboundOp } from '../protocol/envelope.ts';
import type { ShelvedLetter } from '../transport/nats-dead-letter-shelf.ts';
import { type CallEnvelope, callsOf, envelopesOf } from './dlq-frame.ts';
import type { Outcome } from './dlq-replay.ts';
import { counted, printable, readableAge, readableBytes, readableTable } from './readable.ts';

const hidden = '[hidden; --claims shows them]';
/** Of a letter that is no frame. */
const bytesShownMax = 4096;
const resultCharsMax = 200;

export function listText(letters: readonly ShelvedLetter[], nowMs: number): string {
  const rows = letters.map((letter) => [
    String(letter.seq),
    readableAge(nowMs - letter.atMs),
    String(letter.slot),
    letter.kind,
    String(callsOf(letter).length),
    letter.gateway,
    letter.reason,
  ]);
  return readableTable(
    ['seq', 'put aside', 'slot', 'kind', 'calls', 'gateway', 'reason'],
    rows.map((row) => row.map(printable)),
  );
}

/** Without what its frame holds. */
export function summaryOf(letter: ShelvedLetter): object {
  const { frame, atMs, ...rest } = letter;
  const sent = frame === undefined ? {} : { sent: new Date(frame.sentAtMs).toISOString() };
  return { ...rest, at: new Date(atMs).toISOString(), ...sent, calls: callsOf(letter).length };
}

export function detailOf(letter: ShelvedLetter, withClaims: boolean): object {
  const envelopes = envelopesOf(letter)?.map((envelope) => (withClaims ? envelope : withoutClaims(envelope)));
  if (envelopes !== undefined) return { ...summaryOf(letter), envelopes };
  return { ...summaryOf(letter), text: letter.frame?.text.slice(0, bytesShownMax) ?? null };
}

export function showText(letter: ShelvedLetter, withClaims: boolean, nowMs: number): string {
  const { seq, slot, kind, reason, gateway, deliveries, bytes, frame, atMs } = letter;
  const facts = [
    ['dead letter', String(seq)],
    ['put aside', readableAge(nowMs - atMs)],
    ['reason', reason],
    ['kind', `${kind} (${meanings[kind]})`],
    ['slot', String(slot)],
    ['gateway', gateway],
    ['deliveries', String(deliveries)],
    ['size', readableBytes(bytes)],
    ['sent', frame === undefined ? '' : new Date(frame.sentAtMs).toISOString()],
  ] as const;
  const lines = facts.map(([label, value]) => printable(`${label.padEnd(12)} ${value}`.trimEnd()));
  return [...lines, '', contentText(letter, withClaims)].join('\n');
}

export function callText([, , , type, id, method, key]: CallEnvelope): string {
  return printable(`${type}/${id} ${method}${key === '' ? ', no key' : `, key ${key}`}`);
}

export function outcomeText(outcome: Outcome): string {
  if (outcome.kind === 'none') return `no answer: ${outcome.why}`;
  if (outcome.kind === 'ok') {
    const { result } = outcome;
    const cut = result.length > resultCharsMax ? `${result.slice(0, resultCharsMax)}…` : result;
    return printable(`ok ${cut}`.trimEnd());
  }
  const { outcome: kind, code, message } = outcome.error;
  return printable(`${kind} ${code}: ${message}`);
}

const meanings: Readonly<Record<ShelvedLetter['kind'], string>> = {
  undone: 'its calls may have run or not, and can be made again: fermata dlq replay',
  illegal: 'it holds what no gateway of this version says; that was not run, and the rest was answered',
  unreadable: 'it is no frame of calls',
  unknown: 'no version that is known here put it aside',
};

function contentText(letter: ShelvedLetter, withClaims: boolean): string {
  const envelopes = envelopesOf(letter);
  if (envelopes === undefined) {
    const text = letter.frame?.text ?? '';
    return text === '' ? 'nothing in it can be read' : printable(JSON.stringify(text.slice(0, bytesShownMax)));
  }
  const shown = envelopes.map((envelope) => {
    const [op, number] = envelope;
    const name = Object.entries(inboundOp).find(([, value]) => value === op)?.[0] ?? 'unknown';
    const body = (withClaims ? envelope : withoutClaims(envelope)).slice(op === inboundOp.call ? 3 : 2);
    const text = body.map((part) => JSON.stringify(part)).join(' ');
    return printable(`${name.padEnd(12)} session ${String(number)}  ${text}`.trimEnd());
  });
  return [counted(envelopes.length, 'envelope'), ...shown].join('\n');
}

function withoutClaims(envelope: readonly unknown[]): readonly unknown[] {
  const [op, number, info] = envelope;
  if (op !== inboundOp.open || typeof info !== 'object' || info === null) return envelope;
  return [op, number, { ...info, claims: hidden }];
}
