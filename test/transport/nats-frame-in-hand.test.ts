import { expect, test } from 'vitest';
import { FrameInHand } from '../../src/transport/nats-frame-in-hand.ts';
import { readCalls } from '../../src/transport/nats-wire.ts';

const header = { gateway: 'gatewayaaaa', link: 1, seq: 2, sentAtMs: 5, sends: 0, epoch: 1 };
const opening = '[0,1,{"tenant":"t1"}]';

function frameOf(text: string): FrameInHand {
  return new FrameInHand({
    slot: 3,
    message: { ...header, text },
    delivery: { consumer: 'slot-3-e1', reply: 'r', streamSeq: 1, deliveries: 1 },
    doubtful: false,
    inherited: false,
    bytes: text.length,
    nowMs: () => 5,
    owner: { done: () => undefined, bury: () => undefined },
  });
}

const textOf = (data: Uint8Array) => readCalls(data)?.text;

test('a letter holds who made its calls, before them', () => {
  const frame = frameOf('[[2,1,1]]');
  expect(textOf(frame.letter(1000))).toBe('[[2,1,1]]');
  frame.callers(opening);
  expect(textOf(frame.letter(1000))).toBe(`[${opening},[2,1,1]]`);
  expect(readCalls(frame.letter(1000))).toMatchObject(header);
});

test('a letter is the frame as it came when that would be too much, or it holds no envelopes', () => {
  const frame = frameOf('[[2,1,1]]');
  frame.callers(opening);
  expect(textOf(frame.letter(20))).toBe('[[2,1,1]]');
  for (const text of ['nonsense', '[]']) {
    const odd = frameOf(text);
    odd.callers(opening);
    expect(textOf(odd.letter(1000))).toBe(text);
  }
});
