import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeFrame } from '../../src/protocol/decode.ts';
import { parseJson, shallowCopy } from '../../src/protocol/safe-json.ts';

const rpc = { type: 'rpc', id: 'r1', actor: 'counter', actorId: 'c1', method: 'add' };
const decode = (value: unknown) => decodeFrame(typeof value === 'string' ? value : JSON.stringify(value), 64);
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

describe('decodeFrame', () => {
  it('reads an rpc with all and with none of its options', () => {
    expect(decode({ ...rpc, input: { amount: 2 }, key: 'k', deadlineMs: 10.5 })).toEqual({
      kind: 'rpc',
      id: 'r1',
      actor: 'counter',
      actorId: 'c1',
      method: 'add',
      input: { amount: 2 },
      key: 'k',
      ack: -1,
      deadlineMs: 11,
      traceparent: '',
    });
    expect(decode(rpc)).toMatchObject({ kind: 'rpc', input: undefined, key: '', ack: -1, deadlineMs: 0 });
    expect(decode({ ...rpc, deadlineMs: 1e300 })).toMatchObject({ deadlineMs: 2 ** 31 - 1 });
  });

  it.each([
    ['state:sub', true, 'state'],
    ['state:unsub', false, 'state'],
    ['event:sub', true, 'event'],
    ['event:unsub', false, 'event'],
  ])('reads %s', (type, on, stream) => {
    expect(decode({ type, actor: 'chat', actorId: 'r/1' })).toEqual({
      kind: 'subscription',
      type,
      on,
      stream,
      actor: 'chat',
      actorId: 'r/1',
      since: undefined,
    });
  });

  it('reads auth and ping, and ignores what it does not know', () => {
    expect(decode({ type: 'auth', token: 't' })).toEqual({ kind: 'auth', token: 't' });
    expect(decode({ type: 'ping', more: 1 })).toEqual({ kind: 'ping' });
    for (const other of [{ type: 'hi' }, { type: 5 }, {}, { type: 'toString' }]) {
      expect(decode(other)).toEqual({ kind: 'ignored' });
    }
    expect(decode({ type: 'auth' })).toMatchObject({ kind: 'refused', re: { type: 'auth' } });
  });

  it('reads hello, and refuses one without its token', () => {
    expect(decode({ type: 'hello', resumeToken: 't' })).toEqual({ kind: 'hello', resumeToken: 't' });
    expect(decode({ type: 'hello' })).toMatchObject({ kind: 'refused', re: { type: 'hello' } });
  });

  it('reads the number of a call and what its client has the outcomes of', () => {
    expect(decode({ ...rpc, key: 'client-1:7', ack: 6 })).toMatchObject({ kind: 'rpc', key: 'client-1:7', ack: 6 });
    expect(decode({ ...rpc, key: 'client-1:7', ack: 0 })).toMatchObject({ kind: 'rpc', ack: 0 });
    expect(decode({ ...rpc, key: 'client-1:7' })).toMatchObject({ kind: 'rpc', ack: -1 });
  });

  it.each([
    ['client-1:7', 7],
    ['client-1:7', 8],
    ['client-1:7', -1],
    ['client-1:7', 0.5],
    ['client-1:7', '6'],
    ['client-1:0', 0],
    ['client-1:07', 1],
    ['short:7', 1],
    ['any key', 1],
    [undefined, 1],
  ])('refuses the number of a call: key %s, ack %s', (key, ack) => {
    expect(decode({ ...rpc, key, ack })).toMatchObject({ kind: 'refused-rpc', id: 'r1', error: { code: 'MALFORMED' } });
  });

  it('reads where a subscriber was, and ignores it where one leaves', () => {
    const since = { epoch: 'e1', seq: 4 };
    expect(decode({ type: 'state:sub', actor: 'chat', actorId: 'r', since: { ...since, more: 1 } })).toMatchObject({
      since,
    });
    expect(decode({ type: 'event:unsub', actor: 'chat', actorId: 'r', since: 5 })).toMatchObject({ since: undefined });
    for (const wrong of [null, 4, [], { epoch: 'e1' }, { seq: 1 }, { epoch: 'e1', seq: -1 }, { epoch: 5, seq: 1 }]) {
      expect(decode({ type: 'event:sub', actor: 'chat', actorId: 'r', since: wrong })).toMatchObject({
        kind: 'refused',
        re: { type: 'event:sub', actor: 'chat', actorId: 'r' },
      });
    }
    const long = { epoch: 'e'.repeat(65), seq: 1 };
    expect(decode({ type: 'event:sub', actor: 'chat', actorId: 'r', since: long })).toMatchObject({ kind: 'refused' });
  });

  it.each(['', '{', '[]', 'null', '1', '"x"', '{"a":1}{}', '['.repeat(100)])('finds %s broken', (text) => {
    expect(decode(text)).toMatchObject({ kind: 'broken' });
  });

  it('refuses depth and __proto__ keys, with the id of the rpc', () => {
    expect(decode(`{"type":"rpc","id":"a","input":${nested(63)}}`)).toMatchObject({
      error: { message: 'actor must be a string' },
    });
    for (const text of [
      `{"type":"rpc","id":"a","input":${nested(64)}}`,
      `{"input":${nested(20_000)},"id":"a","type":"rpc"}`,
      '{"type":"rpc","id":"a","__proto__":{}}',
      '{"type":"rpc","id":"a","input":[{"_\\u005fproto__":1}]}',
      '{"type":"rpc","id":"a","input":[{"\\u005f\\u005F\\u0070roto__":1}]}',
    ]) {
      expect(decode(text)).toMatchObject({ kind: 'refused-rpc', id: 'a', error: { code: 'MALFORMED' } });
    }
    expect(decode(`{"type":"state:sub","actor":"chat","actorId":"x","y":${nested(99)}}`)).toMatchObject({
      kind: 'refused',
      re: { type: 'state:sub', actor: 'chat', actorId: 'x' },
    });
    expect(decode(`{"type":"rpc","id":${nested(99)}}`)).toMatchObject({ kind: 'refused-rpc', id: null });
  });

  it('takes the words as values, in ids and deep in text that only looks nested', () => {
    expect(decode({ ...rpc, actorId: '__proto__' })).toMatchObject({ kind: 'rpc', actorId: '__proto__' });
    expect(decode({ ...rpc, input: `"${nested(500)}\\"[` })).toMatchObject({ kind: 'rpc' });
  });

  it('never throws, and answers every object that says it is an rpc', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), fc.string(), (json, text) => {
        decode(json);
        decode(text);
      }),
    );
    const anything = fc.jsonValue();
    const fields = fc.record(
      {
        id: anything,
        actor: anything,
        actorId: anything,
        method: anything,
        key: anything,
        ack: anything,
        deadlineMs: anything,
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fields, (given) => {
        expect(['rpc', 'refused-rpc']).toContain(decode({ type: 'rpc', ...given }).kind);
      }),
    );
  });
});

describe('parseJson', () => {
  it('gives what JSON.parse gives for everything within the bounds', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const text = JSON.stringify(value);
        const parsed = parseJson(text, 64);
        if (parsed.kind === 'value') expect(parsed.value).toEqual(JSON.parse(text));
        else expect(text).toContain('__proto__');
      }),
    );
  });

  it('measures depth exactly, for arrays and objects, at any bound', () => {
    for (const depthMax of [1, 2, 64]) {
      const object = (depth: number) => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth);
      expect(parseJson(nested(depthMax), depthMax).kind).toBe('value');
      expect(parseJson(object(depthMax), depthMax).kind).toBe('value');
      expect(parseJson(object(depthMax + 1), depthMax).kind).toBe('refused');
      expect(parseJson(` ${nested(depthMax + 1)} `, depthMax).kind).toBe('refused');
    }
  });
});

describe('shallowCopy', () => {
  it('keeps the outer object and puts null for what is nested', () => {
    expect(shallowCopy('{"a":[1,{"b":"]"}],"c":"[{\\"","d":{},"e":1}')).toEqual({ a: null, c: '[{"', d: null, e: 1 });
    expect(shallowCopy('{"a":[')).toBeUndefined();
  });
});
