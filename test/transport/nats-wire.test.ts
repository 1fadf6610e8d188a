import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  pieceOf,
  readBeat,
  readCalls,
  readOut,
  readPresence,
  writeAnswer,
  writeBeat,
  writeCalls,
  writeHello,
  writeLost,
  writePresence,
  writeSync,
} from '../../src/transport/nats-wire.ts';

const gateway = 'gateway0001';
const count = fc.integer({ min: 1, max: 2 ** 40 });
const slot = fc.integer({ min: 0, max: 63 });
/** Halves of surrogate pairs too. */
const text = fc
  .string({ unit: 'binary', maxLength: 200 })
  .map((binary) => `${binary}${binary.length % 3 ? '' : '\ud83d'}`);

describe('the texts of messages over NATS', () => {
  it('bring calls back as they were written, whatever their text', () => {
    fc.assert(
      fc.property(count, count, count, text, (link, seq, epoch, body) => {
        const header = { gateway, link, seq, sentAtMs: 1_700_000_000_000, sends: 3, epoch };
        expect(readCalls(writeCalls(header, body))).toEqual({ ...header, text: body });
      }),
    );
  });

  it('bring answers, syncs, hellos and losses back', () => {
    fc.assert(
      fc.property(slot, count, count, text, (of, epoch, seq, records) => {
        const answer = { kind: 'answer', slot: of, epoch, seq, piece: 2 } as const;
        expect(readOut(writeAnswer(answer, records))).toEqual({ ...answer, records });
        expect(readOut(writeSync('runtime0001', [{ slot: of, epoch, seq }]))).toEqual({
          kind: 'sync',
          runtime: 'runtime0001',
          slots: [{ slot: of, epoch, seq }],
        });
        expect(readOut(writeHello('runtime0001', [{ slot: of, epoch }]))).toMatchObject({
          kind: 'hello',
          slots: [{ slot: of, epoch }],
        });
        expect(readOut(writeLost(of, epoch, seq))).toEqual({ kind: 'lost', slot: of, epoch, link: seq });
      }),
    );
  });

  it('bring presences and signs of life back', () => {
    fc.assert(
      fc.property(slot, count, fc.boolean(), text, (of, epoch, last, body) => {
        const part = { gateway, slot: of, epoch, link: 2, part: 3, last, text: body };
        expect(readPresence(writePresence(part))).toEqual(part);
      }),
    );
    for (const closing of [true, false])
      expect(readBeat(writeBeat({ gateway, closing }))).toEqual({ gateway, closing });
  });

  it('name the pieces of an answer', () => {
    expect([pieceOf(0, 1), pieceOf(0, 3), pieceOf(1, 3), pieceOf(2, 3)]).toEqual([0, 1, 2, 3]);
  });

  it('read anything without throwing', () => {
    const words = fc.array(
      fc.constantFrom('1', '1w', 'F', 'S', 'H', 'L', 'P', 'B', '0', '64', '7', gateway, '', '-1', '9e9'),
    );
    const nearly = fc.tuple(words, text).map(([header, body]) => Buffer.from(`${header.join(' ')}\n${body}`));
    const anything = fc.oneof(fc.uint8Array({ maxLength: 400 }), nearly);
    fc.assert(
      fc.property(anything, (data) => {
        for (const read of [readCalls, readOut, readPresence, readBeat]) read(data);
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['another version', `2 ${gateway} 1 1 1 0 0\nx`],
    ['a key that is none', '1 a.b 1 1 1 0 0\nx'],
    ['a key with capitals', '1 GATEWAY0001 1 1 1 0 0\nx'],
    ['a link of zero', `1 ${gateway} 0 1 1 0 0\nx`],
    ['a seq below zero', `1 ${gateway} 1 -1 1 0 0\nx`],
    ['a number that is too large', `1 ${gateway} 1 ${'9'.repeat(20)} 1 0 0\nx`],
    ['a word too many', `1 ${gateway} 1 1 1 0 0 0\nx`],
    ['no body', `1 ${gateway} 1 1 1 0 0`],
  ])('refuse calls with %s', (_, message) => {
    expect(readCalls(Buffer.from(message))).toBeUndefined();
  });

  it.each([
    ['a slot that is none', '1 F 64 1 1 0\nx'],
    ['an epoch of zero', '1 F 1 0 1 0\nx'],
    ['a piece that is none', '1 F 1 1 1 4\nx'],
    ['a kind that is none', '1 X 1 1 1 0\nx'],
    ['a sync of a slot that is none', '1 S runtime0001\n64 1 1'],
    ['a hello with a word too many', '1 H runtime0001\n1 1 1'],
    ['more positions than there can be', `1 H runtime0001\n${'1 1\n'.repeat(2000)}`],
  ])('refuse what is for gateways with %s', (_, message) => {
    expect(readOut(Buffer.from(message))).toBeUndefined();
  });
});
