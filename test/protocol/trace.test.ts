import { describe, expect, it, test } from 'vitest';
import { decodeInbound, InboundFrame, inboundOp } from '../../src/protocol/envelope.ts';
import {
  callRequestId,
  isRequestId,
  isTrace,
  parseTraceparent,
  traceFields,
  traceparentOf,
  traceText,
} from '../../src/protocol/trace.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const parent = 'b7ad6b7169203331';
const good = `00-${traceId}-${parent}-01`;

describe('a traceparent', () => {
  test.each([
    ['sampled', good, good],
    ['not sampled', `00-${traceId}-${parent}-00`, `00-${traceId}-${parent}-00`],
    ['with flags that nobody knows', `00-${traceId}-${parent}-ff`, `00-${traceId}-${parent}-ff`],
    ['of a later version', `cc-${traceId}-${parent}-03`, good],
    [
      'of a later version that says more',
      `cc-${traceId}-${parent}-02-what-the-future-will-be`,
      `00-${traceId}-${parent}-00`,
    ],
  ])('%s is taken', (_what, given, taken) => {
    expect(parseTraceparent(given)).toBe(taken);
  });

  test.each([
    ['no text', 7],
    ['empty', ''],
    ['in capitals', good.toUpperCase()],
    ['of version ff', `ff-${traceId}-${parent}-01`],
    ['of version 00 that says more', `${good}-more`],
    ['with a line end', `${good}\n`],
    ['with spaces', ` ${good}`],
    ['twice', `${good},${good}`],
    ['whose trace id is all zeros', `00-${'0'.repeat(32)}-${parent}-01`],
    ['whose parent id is all zeros', `00-${traceId}-${'0'.repeat(16)}-01`],
    ['too short', `00-${traceId.slice(1)}-${parent}-01`],
    ['of a later version without a dash', `cc-${traceId}-${parent}-01more`],
    ['of a later version and endless', `cc-${traceId}-${parent}-01-${'x'.repeat(1000)}`],
  ])('%s is none', (_what, given) => {
    expect(parseTraceparent(given)).toBe('');
  });
});

test('a request id is up to 64 plain characters', () => {
  for (const id of ['a', 'A.b_c-9', 'f'.repeat(64)]) expect(isRequestId(id)).toBe(true);
  for (const id of ['', 'f'.repeat(65), 'a b', 'a\n', 'a/b', 'é', '\u001b[2J']) expect(isRequestId(id)).toBe(false);
});

describe('the text that a call carries', () => {
  it('is known as such by another process, whatever its client called the call', () => {
    for (const callId of [
      '',
      'rpc_1',
      'é'.repeat(256),
      '\u{1f600}'.repeat(128),
      '\n\u001b[2J\u0085\u2028',
      '\ud800|/',
    ]) {
      const requestId = callRequestId('f'.repeat(64), callId);
      for (const traceparent of ['', good]) expect(isTrace(traceText(requestId, traceparent))).toBe(true);
    }
    expect(callRequestId('a', 'b\n\ud800')).toBe('a/b\ufffd\ufffd');
    const never = [
      '',
      '|',
      'a',
      `|${'f'.repeat(322)}`,
      '|\n',
      '|\udc00',
      `${good.toUpperCase()}|`,
      `01${good.slice(2)}|`,
    ];
    for (const text of never) expect(isTrace(text)).toBe(false);
  });

  it('gives back what was put in, whatever the client called its call', () => {
    for (const requestId of ['', 'abc/rpc_1', 'a|b/|', `${good}/\n\u001b[2J`]) {
      for (const traceparent of ['', good]) {
        const text = traceText(requestId, traceparent);
        expect(traceparentOf(text)).toBe(traceparent === '' ? undefined : traceparent);
        expect(traceFields(text)).toEqual({
          ...(requestId === '' ? {} : { requestId }),
          ...(traceparent === '' ? {} : { traceId }),
        });
      }
    }
  });

  it('is empty without both', () => {
    expect(traceText('', '')).toBe('');
  });
});

describe('a call on its way to a shard', () => {
  function frameOf(input: unknown, trace?: string): string {
    const frame = new InboundFrame();
    if (trace === undefined) frame.addCall(1, 2, 'chat', 'lobby', 'say', '', -1, 0, input);
    else frame.addCall(1, 2, 'chat', 'lobby', 'say', '', -1, 0, input, trace);
    return frame.take()!;
  }

  it('without ids is what it was before there were any, to the letter', () => {
    expect(frameOf('x', '')).toBe('[[2,1,2,"chat","lobby","say","",-1,0,"x"]]');
    expect(frameOf(undefined, '')).toBe('[[2,1,2,"chat","lobby","say","",-1,0]]');
    expect(frameOf(undefined)).toBe(frameOf(undefined, ''));
  });

  it('takes its ids along, and tells no input from null', () => {
    const trace = traceText('a/"\n', good);
    const head = [inboundOp.call, 1, 2, 'chat', 'lobby', 'say', '', -1, 0];
    expect(decodeInbound(frameOf('x', trace))).toEqual([[...head, 'x', trace]]);
    expect(decodeInbound(frameOf(null, trace))).toEqual([[...head, null, trace]]);
    expect(decodeInbound(frameOf(undefined, trace))).toEqual([[...head, null, trace, true]]);
  });
});
