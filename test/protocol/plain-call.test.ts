import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeFrame } from '../../src/protocol/decode.ts';
import { PlainCalls } from '../../src/protocol/plain-call.ts';

const depthMax = 64;
const rpc = { type: 'rpc', id: 'r1', actor: 'counter', actorId: 'c1', method: 'add' };
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

/** What the shortcut says of a frame, when it says anything, must be what reading it anew says. */
function decodeBoth(calls: PlainCalls, text: string) {
  const frame = calls.decode(text, depthMax);
  if (frame !== undefined) expect(frame, text).toEqual(decodeFrame(text, depthMax));
  return frame;
}

describe('PlainCalls', () => {
  it.each([
    ['an input', { input: { amount: 2 } }],
    ['no input', {}],
    ['an input that is no object', { input: 'say, "key":"x"' }],
    ['a key', { input: [1], key: 'order-7' }],
    ['a number', { input: {}, key: 'client-1:7', ack: 6 }],
    ['a deadline', { deadlineMs: 5000 }],
    ['all of it', { input: { deep: [{}] }, traceparent, key: 'client-1:7', ack: 0, deadlineMs: 1 }],
    ['a traceparent that is none', { input: 1, traceparent: 'x' }],
    ['a long deadline', { deadlineMs: 10 ** 14 }],
  ])('reads a call with %s', (_name, more) => {
    const calls = new PlainCalls();
    for (const id of ['r1', '', 'r 2', '~'.repeat(256)]) {
      expect(decodeBoth(calls, JSON.stringify({ ...rpc, id, ...more }))).toMatchObject({ kind: 'rpc', id });
    }
  });

  it('follows its client from actor to actor', () => {
    const calls = new PlainCalls();
    for (const actorId of ['c1', 'c2', 'c', 'c1', 'a b/c']) {
      expect(decodeBoth(calls, JSON.stringify({ ...rpc, actorId, input: {} }))).toMatchObject({ actorId });
    }
  });

  it.each([
    ['is no call', JSON.stringify({ type: 'ping' })],
    ['has its members in another order', JSON.stringify(Object.fromEntries(Object.entries(rpc).toReversed()))],
    ['has spaces', JSON.stringify({ ...rpc, input: {} }, null, 1)],
    ['has an escape', JSON.stringify({ ...rpc, actorId: 'a"b' })],
    ['has an escape in its id', JSON.stringify({ ...rpc, id: '\\' })],
    ['has other letters', JSON.stringify({ ...rpc, actorId: 'é' })],
    ['has an illegal actor', JSON.stringify({ ...rpc, actor: '7' })],
    ['has an illegal method', JSON.stringify({ ...rpc, method: 'a.b' })],
    ['has a long id', JSON.stringify({ ...rpc, id: 'x'.repeat(257) })],
    ['has a long actorId', JSON.stringify({ ...rpc, actorId: 'x'.repeat(257) })],
    ['has an empty key', JSON.stringify({ ...rpc, key: '' })],
    ['has a number that has ended', JSON.stringify({ ...rpc, key: 'client-1:7', ack: 7 })],
    ['has a number without a key', JSON.stringify({ ...rpc, ack: 7 })],
    ['has no time left', JSON.stringify({ ...rpc, deadlineMs: 0 })],
    ['is cut short', JSON.stringify({ ...rpc, input: { a: 1 } }).slice(0, -1)],
    ['goes on', `${JSON.stringify({ ...rpc, input: { a: 1 } })}}`],
    ['has more', JSON.stringify({ ...rpc, more: 1 })],
    ['has an own __proto__', `${JSON.stringify(rpc).slice(0, -1)},"input":{"__proto__":1}}`],
    ['is too deep', `${JSON.stringify(rpc).slice(0, -1)},"input":${'['.repeat(64)}${']'.repeat(64)}}`],
    ['is long', JSON.stringify({ ...rpc, input: 'x'.repeat(5000) })],
    ['has leading zeros', `${JSON.stringify(rpc).slice(0, -1)},"deadlineMs":007}`],
    ['says things twice', `${JSON.stringify({ ...rpc, input: {} }).slice(0, -1)},"input":{},"id":"r2"}`],
    ['is empty', ''],
  ])('leaves a frame alone that %s', (_name, text) => {
    const calls = new PlainCalls();
    decodeBoth(calls, JSON.stringify(rpc));
    expect(decodeBoth(calls, text)).toBeUndefined();
  });

  it('nests as deep as a frame may, and no deeper', () => {
    const nested = (levels: number): string =>
      `${JSON.stringify(rpc).slice(0, -1)},"input":${'['.repeat(levels)}${']'.repeat(levels)}}`;
    expect(decodeBoth(new PlainCalls(), nested(depthMax - 1))).toMatchObject({ kind: 'rpc' });
    expect(decodeBoth(new PlainCalls(), nested(depthMax))).toBeUndefined();
  });

  it('is not tried again with a client whose frames it could not take apart', () => {
    const calls = new PlainCalls();
    expect(decodeBoth(calls, `${JSON.stringify({ ...rpc, input: {} }).slice(0, -1)},"more":{"a":1}}`)).toBeUndefined();
    expect(decodeBoth(calls, JSON.stringify(rpc))).toBeUndefined();
  });

  it('agrees with decodeFrame about whatever it takes', () => {
    const or = <T>(usual: T, ...others: fc.Arbitrary<T>[]) =>
      fc.oneof({ weight: 6, arbitrary: fc.constant(usual) }, ...others);
    const text = (usual: string) => or(usual, fc.string(), fc.string({ unit: 'binary' }));
    const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
    const call = fc.record({
      type: fc.constant('rpc'),
      id: text('r1'),
      actor: text('counter'),
      actorId: text('c1'),
      method: text('add'),
      input: maybe(fc.jsonValue()),
      traceparent: maybe(text(traceparent)),
      key: maybe(text('client-1:21')),
      ack: maybe(or(6, fc.nat(30), fc.double())),
      deadlineMs: maybe(or(5000, fc.nat(), fc.double())),
    });
    let taken = 0;
    fc.assert(
      fc.property(fc.array(fc.tuple(call, fc.nat(200), fc.string({ maxLength: 3 })), { maxLength: 8 }), (frames) => {
        const calls = new PlainCalls();
        for (const [frame, at, more] of frames) {
          const sound = JSON.stringify(frame);
          if (decodeBoth(calls, sound) !== undefined) taken += 1;
          decodeBoth(calls, sound.slice(0, at) + more + sound.slice(at));
        }
      }),
      { numRuns: 500 },
    );
    expect(taken).toBeGreaterThan(200);
  });
});
