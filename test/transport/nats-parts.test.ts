/** The small parts of the transport over NATS that touch no server. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeOutbound, inboundOp } from '../../src/protocol/envelope.ts';
import { beatMs, presenceMs, silenceMs } from '../../src/transport/nats-bounds.ts';
import { readDelivery } from '../../src/transport/nats-delivery.ts';
import { addDoubt, type Doubt, deadlyOf, parseDoubt } from '../../src/transport/nats-doubt.ts';
import { refuseOversize } from '../../src/transport/nats-oversize.ts';
import { NatsPresences } from '../../src/transport/nats-presence.ts';
import { NatsRoster } from '../../src/transport/nats-roster.ts';
import { cutText, splitFrame } from '../../src/transport/nats-split.ts';
import { NatsStandstill } from '../../src/transport/nats-standstill.ts';
import { sortTurnover } from '../../src/transport/nats-turnover.ts';

describe('texts that are too long', () => {
  it('part frames between envelopes, and lose none', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 30 })), fc.integer({ min: 140, max: 400 }), (words, bytesMax) => {
        const { frames, tooLong } = splitFrame(JSON.stringify(words), bytesMax);
        expect(tooLong).toEqual([]);
        for (const frame of frames) expect(Buffer.byteLength(frame)).toBeLessThanOrEqual(bytesMax);
        expect(frames.flatMap((frame) => JSON.parse(frame))).toEqual(words);
      }),
    );
  });

  it('name what cannot be parted, and leave the rest in order', () => {
    const long = 'x'.repeat(100);
    expect(splitFrame(JSON.stringify(['a', 'b', long, 'c']), 50)).toEqual({
      frames: ['["a","b"]', '["c"]'],
      tooLong: [long],
    });
    const nonsense = `no JSON${' '.repeat(100)}`;
    expect(splitFrame(nonsense, 50)).toEqual({ frames: [], tooLong: [nonsense] });
  });

  it('end a call that fits into no message as never made, and nothing that is no call', () => {
    const call = [inboundOp.call, 1, 17, 'counter', 'a', 'add', '', -1, 0, 'x'.repeat(100)];
    const read = [inboundOp.read, 1, 18, 'counter', 'a'];
    const heard: unknown[] = [];
    decodeOutbound(refuseOversize([call, read])!, (op, number, _b, _c, body) =>
      heard.push([op, number, JSON.parse(body)]),
    );
    const error = { code: 'TOO_LARGE', outcome: 'rejected', retryable: false };
    expect(heard).toEqual([
      ['E', 17, expect.objectContaining(error)],
      ['E', 18, expect.objectContaining(error)],
    ]);
    expect(refuseOversize([call, [inboundOp.open, 1, {}]])).toBeUndefined();
    expect(refuseOversize(['nonsense'])).toBeUndefined();
  });

  it('cut records anywhere but in the middle of a character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 6, max: 40 }), (text, bytesMax) => {
        const pieces = cutText(text, bytesMax);
        expect(pieces.join('')).toBe(text);
        for (const piece of pieces) {
          expect(Buffer.byteLength(piece)).toBeLessThanOrEqual(bytesMax);
          expect(piece.isWellFormed()).toBe(true);
        }
      }),
    );
  });
});

describe('what leaves during a turnover', () => {
  it('is parted into the presence and calls that were gathered before', () => {
    const call = [inboundOp.call, 1, 1, 'counter', 'a', 'add', '', -1, 0];
    const present = [inboundOp.present, 0, [1]];
    const open = [inboundOp.open, 1, { tenant: 't' }];
    const { presence, rest } = sortTurnover([JSON.stringify([open, call]), JSON.stringify([present])], 1000);
    expect(presence).toEqual([JSON.stringify([open, present])]);
    expect(rest).toBe(JSON.stringify([call]));
  });
});

describe('presences on their way', () => {
  const part = (number: number, last = false, link = 1) =>
    ({ gateway: 'gateway0001', slot: 3, epoch: 4, link, part: number, last, text: `${number}` }) as const;

  it('are whole when their last part is there', () => {
    const presences = new NatsPresences(() => 0);
    expect(presences.add(part(1))).toBeUndefined();
    expect([presences.pending(3), presences.pending(4)]).toEqual([true, false]);
    expect(presences.add(part(2, true))?.map(({ text }) => text)).toEqual(['1', '2']);
    expect(presences.pending(3)).toBe(false);
  });

  it('are dropped when a part is missing, is another one’s, or does not come in time', () => {
    const clock = { ms: 0 };
    const presences = new NatsPresences(() => clock.ms);
    presences.add(part(1));
    expect(presences.add(part(3, true))).toBeUndefined();
    expect(presences.pending(3)).toBe(false);
    presences.add(part(1));
    expect(presences.add(part(2, true, 2))).toBeUndefined();
    presences.add(part(1));
    clock.ms += presenceMs;
    presences.tick();
    expect(presences.add(part(2, true))).toBeUndefined();
  });
});

describe('the roster of gateways', () => {
  it('tells once who was silent for ten seconds', () => {
    const clock = { ms: 0 };
    const roster = new NatsRoster(() => clock.ms);
    roster.heard('a');
    clock.ms = silenceMs / 2;
    roster.heard('b');
    clock.ms = silenceMs - 1;
    expect(roster.silent()).toEqual([]);
    clock.ms = silenceMs;
    expect(roster.silent()).toEqual(['a']);
    expect(roster.silent()).toEqual([]);
    expect([...roster.gateways]).toEqual(['b']);
  });

  it('holds nobody’s silence against them while it could not hear', () => {
    const clock = { ms: 0 };
    const roster = new NatsRoster(() => clock.ms);
    roster.heard('a');
    clock.ms = silenceMs * 3;
    roster.awake();
    expect(roster.silent()).toEqual([]);
    expect([roster.left('a'), roster.left('a')]).toEqual([true, false]);
  });
});

describe('a standstill of our own', () => {
  it('is over when what came meanwhile was read', () => {
    const clock = { ms: 0 };
    let over = 0;
    const standstill = new NatsStandstill(
      () => clock.ms,
      () => (over += 1),
    );
    const after = (ms: number): boolean => {
      clock.ms += ms;
      return standstill.justOver();
    };
    expect([after(beatMs), after(beatMs * 3), after(beatMs * 3 + 1), after(0)]).toEqual([false, false, true, true]);
    expect([after(beatMs / 4), after(beatMs / 4)]).toEqual([true, false]);
    expect(over).toBe(1);
  });
});

describe('what is in doubt about a slot', () => {
  const created = '2026-01-01T00:00:00Z';

  it('never falls, until the stream is another one', () => {
    const first = addDoubt(undefined, { created, delivered: 10, oldest: 0 });
    expect(addDoubt(first, { created, delivered: 7, oldest: 0 }).upTo).toBe(10);
    expect(addDoubt(first, { created: 'later', delivered: 7, oldest: 0 }).upTo).toBe(7);
  });

  it('names a message that was the oldest at five owners in a row', () => {
    let doubt: Doubt | undefined;
    const deadly: number[] = [];
    for (let owner = 0; owner < 5; owner += 1) {
      doubt = addDoubt(doubt, { created, delivered: 10, oldest: 8 });
      deadly.push(deadlyOf(doubt));
    }
    expect(deadly).toEqual([0, 0, 0, 0, 8]);
    expect(addDoubt(doubt, { created, delivered: 12, oldest: 11 }).times).toBe(1);
  });

  it('is read from any text without throwing', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void parseDoubt(text)));
    const doubt = { upTo: 3, created, oldest: 2, times: 1 };
    expect(parseDoubt(JSON.stringify(doubt))).toEqual(doubt);
    expect(parseDoubt('{"upTo":-1}')).toBeUndefined();
  });
});

describe('what JetStream says of a delivery', () => {
  it('is read in the form of older and of newer servers', () => {
    const told = { consumer: 'slot-3-e4', deliveries: 2, streamSeq: 17 };
    for (const reply of [
      '$JS.ACK.FERMATA_CALLS.slot-3-e4.2.17.5.1700000000000000000.0',
      '$JS.ACK.hub.abcdef.FERMATA_CALLS.slot-3-e4.2.17.5.1700000000000000000.0.x1',
    ])
      expect(readDelivery(reply)).toEqual({ reply, ...told });
    expect(readDelivery('_INBOX.x')).toBeUndefined();
  });
});
