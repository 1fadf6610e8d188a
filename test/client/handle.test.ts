import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { connected, refusal, rig } from './rig.ts';

describe('a handle', () => {
  it('is no promise: awaiting it, or the client, gives it back', async () => {
    await using test = await connected();
    const handle = test.client.chat('r1');
    expect(await (handle as unknown)).toBe(handle);
    expect(await (test.client as unknown)).toBe(test.client);
    for (const name of ['then', 'catch', 'finally', Symbol.iterator, Symbol.toPrimitive, 'toJSON']) {
      expect(Reflect.get(handle, name)).toBeUndefined();
      expect(Reflect.get(test.client, name)).toBeUndefined();
    }
    const call = test.client.counter('c1').increment();
    const frame = await test.peer.frame();
    expect(frame['method']).toBe('increment');
    test.peer.answer(frame, 1);
    await call;
  });

  it('can be printed, compared and turned into text without calling anything', async () => {
    await using test = await rig();
    const handle = test.client.counter('c1');
    expect(inspect(handle)).toContain('meta');
    expect(Reflect.apply(String, undefined, [handle])).toBe('[object Object]');
    expect(JSON.stringify({ id: handle.meta.id })).toBe('{"id":"c1"}');
    expect(handle).toEqual(handle);
  });

  it('is the same for the same actor, and so are its methods', async () => {
    await using test = await rig();
    expect(test.client.counter('c1')).toBe(test.client.counter('c1'));
    expect(test.client.counter('c1')).not.toBe(test.client.counter('c2'));
    expect(test.client.counter).toBe(test.client.counter);
    const { add } = test.client.counter('c1');
    expect(test.client.counter('c1').add).toBe(add);
  });

  it('knows its name and id, and cannot be written to', async () => {
    await using test = await rig();
    const handle = test.client.counter('a/b c');
    expect(handle.meta).toMatchObject({ name: 'counter', id: 'a/b c' });
    expect(() => Object.assign(handle, { add: 1 })).toThrow(TypeError);
  });

  it('needs an id', async () => {
    await using test = await rig();
    expect(() => test.client.counter('')).toThrow('must be a string of at least one character');
    expect(() => Reflect.apply(test.client.counter, undefined, [undefined])).toThrow(TypeError);
  });

  it('rejects the promise that the caller holds, once, and no other', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    await using test = await rig();
    const error = refusal(test.client.counter('c1').increment());
    // Nobody asks for `ready`.
    test.client.connection.close();
    expect(await error).toMatchObject({ code: 'CLOSED' });
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
  });
});
