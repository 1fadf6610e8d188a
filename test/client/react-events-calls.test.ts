// @vitest-environment jsdom
import { act, createElement, StrictMode, useState } from 'react';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { CallOptions } from '../../src/client/client.ts';
import { FermataError } from '../../src/client/error.ts';
import type { CallState } from '../../src/client/react.ts';
import { hooks, passMs, Screen, useScreens } from './react-screen.ts';
import { Wire } from './react-wire.ts';

const { useActor, useCall, useEvent } = hooks;

useScreens();

let wire: Wire;
let screen: Screen;

beforeEach(async () => {
  wire = await new Wire().connect();
  screen = new Screen(wire);
});

describe('an event', () => {
  const say = (text: string, seq?: number) =>
    wire.tell({
      type: 'event',
      actor: 'chat',
      actorId: 'lobby',
      event: 'message',
      payload: { text },
      ...(seq === undefined ? {} : { seq }),
    });
  const heard: string[] = [];
  const Listener = ({ name, onGap }: { readonly name: string; readonly onGap?: () => void }) => {
    useEvent(useActor('chat', 'lobby'), 'message', ({ text }) => heard.push(`${name} ${text}`), { onGap });
    return null;
  };

  beforeEach(() => void heard.splice(0));

  test('finds the listener of the latest render, by one subscription', async () => {
    await screen.show(createElement(StrictMode, null, createElement(Listener, { name: 'first' })));
    await say('a');
    const on = vi.spyOn(wire.client.chat('lobby'), 'on');
    await screen.show(createElement(StrictMode, null, createElement(Listener, { name: 'second' })));
    await say('b');
    expect(heard).toEqual(['first a', 'second b']);
    expect(on).not.toHaveBeenCalled();
    await passMs(60_000);
    expect(wire.takeSubscriptions()).toEqual(['event:sub lobby']);
  });

  test('is heard by nobody once the component is gone, and soon not sent any more', async () => {
    await screen.show(createElement(Listener, { name: 'only' }));
    await screen.show(null);
    await say('late');
    expect(heard).toEqual([]);
    expect(wire.takeSubscriptions()).toEqual(['event:sub lobby']);
    await passMs(60_000);
    expect(wire.takeSubscriptions()).toEqual(['event:unsub lobby']);
  });

  test('may set state', async () => {
    const Last = () => {
      const [last, setLast] = useState('');
      useEvent(useActor('chat', 'lobby'), 'message', ({ text }) => setLast(text));
      return last;
    };
    await screen.show(createElement(Last));
    await say('hi');
    expect(screen.text).toBe('hi');
  });

  test('that was missed is told to who asked for gaps, and reported once where nobody did', async () => {
    const gap = () =>
      wire.tell({ type: 'event:position', actor: 'chat', actorId: 'lobby', epoch: 'e', seq: 7, gap: true });
    let gaps = 0;
    await screen.show(createElement(Listener, { name: 'asks', onGap: () => (gaps += 1) }));
    await gap();
    expect([gaps, wire.reports]).toEqual([1, []]);
    await screen.show(createElement(Listener, { name: 'asks not' }));
    await gap();
    expect([gaps, wire.reports]).toEqual([1, [expect.objectContaining({ code: 'GAP' })]]);
    await screen.show(null);
    await gap();
    expect(wire.reports).toHaveLength(1);
  });
});

describe('a call', () => {
  type Add = CallState<(input: { amount: number }, options?: CallOptions) => Promise<number>>;
  let add: Add;
  const renders: Add[] = [];
  const Adder = ({ id = 'c1' }: { readonly id?: string }) => {
    add = useCall(useActor('counter', id), 'add');
    renders.push(add);
    return `${add.pendingCount} ${add.error?.code ?? 'fine'} ${add.result ?? 'none'}`;
  };
  /** Calls in the order in which they were made, answered by the test in any order. */
  const ids: string[] = [];

  beforeEach(async () => {
    ids.splice(0);
    renders.splice(0);
    await screen.show(createElement(StrictMode, null, createElement(Adder)));
  });

  async function call(amount: number, options?: CallOptions): Promise<{ promise: Promise<number> }> {
    let promise: Promise<number> | undefined;
    await act(async () => void (promise = add.call({ amount }, options)));
    const sent = wire.take().filter(({ type }) => type === 'rpc');
    ids.push(...sent.map(({ id }) => String(id)));
    return { promise: promise! };
  }

  const answer = (index: number, result: number) =>
    wire.tell({ type: 'rpc:result', id: ids[index]!, result, outcome: 'ok' });
  const fail = (index: number, code: string) =>
    wire.tell({ type: 'rpc:result', id: ids[index]!, error: 'no', code, outcome: 'failed', retryable: false });

  test('is idle at first, pending while it is open, and then has a result', async () => {
    expect(add).toMatchObject({ pending: false, pendingCount: 0, error: undefined, result: undefined });
    const { promise } = await call(2);
    expect(add).toMatchObject({ pending: true, pendingCount: 1 });
    await answer(0, 2);
    expect(add).toMatchObject({ pending: false, pendingCount: 0, error: undefined, result: 2 });
    expect(await promise).toBe(2);
  });

  test('counts with others, and the one made last is shown, whichever is answered first', async () => {
    await call(1);
    await call(2);
    const { promise } = await call(3);
    expect(screen.text).toBe('3 fine none');
    await answer(2, 30);
    expect(screen.text).toBe('2 fine 30');
    await fail(0, 'SOLD_OUT');
    await answer(1, 20);
    expect(screen.text).toBe('0 fine 30');
    expect(await promise).toBe(30);
  });

  test('that fails shows its error, until the next one; the last result stays', async () => {
    await call(1);
    await answer(0, 1);
    await call(2);
    await fail(1, 'SOLD_OUT');
    expect(screen.text).toBe('0 SOLD_OUT 1');
    expect(add.error).toBeInstanceOf(FermataError);
    await call(3);
    expect(screen.text).toBe('1 fine 1');
    await answer(2, 3);
    expect(screen.text).toBe('0 fine 3');
  });

  test('that nobody awaits may fail without an unhandled rejection, and who awaits it gets the error', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    onTestFinished(() => void process.off('unhandledRejection', note));
    await call(1);
    await fail(0, 'SOLD_OUT');
    const { promise } = await call(2);
    await fail(1, 'GONE');
    await expect(promise).rejects.toMatchObject({ code: 'GONE' });
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).toEqual([]);
  });

  test('can be forgotten, also while it is open', async () => {
    await call(1);
    await fail(0, 'SOLD_OUT');
    await act(async () => add.reset());
    expect(screen.text).toBe('0 fine none');
    await call(2);
    await act(async () => add.reset());
    expect(screen.text).toBe('1 fine none');
    await answer(1, 2);
    expect(screen.text).toBe('0 fine none');
  });

  test('takes the options of any call', async () => {
    const leaving = new AbortController();
    const { promise } = await call(1, { signal: leaving.signal });
    await act(async () => leaving.abort());
    await expect(promise).rejects.toMatchObject({ code: 'ABORTED' });
    expect(screen.text).toBe('0 ABORTED none');
    await act(async () => void add.call({ amount: 1 }, { key: 'mine' }));
    expect(wire.take()).toContainEqual(expect.objectContaining({ type: 'rpc', key: 'mine', input: { amount: 1 } }));
  });

  test('goes on when the component is gone, and nothing is rendered then', async () => {
    const { promise } = await call(1);
    await screen.clear();
    const before = renders.length;
    await answer(0, 1);
    expect(await promise).toBe(1);
    expect(renders).toHaveLength(before);
  });

  test('of one actor is not shown as that of another', async () => {
    await call(1);
    await screen.show(createElement(StrictMode, null, createElement(Adder, { id: 'c2' })));
    expect(screen.text).toBe('0 fine none');
    await answer(0, 1);
    expect(screen.text).toBe('0 fine none');
    await call(5);
    await answer(1, 5);
    expect(screen.text).toBe('0 fine 5');
  });

  test('is the same function on each render, of which there are no more than needed', async () => {
    const first = add;
    const before = renders.length;
    await call(1);
    await answer(0, 1);
    expect(add.call).toBe(first.call);
    expect(add.reset).toBe(first.reset);
    // StrictMode renders twice: once for the start, once for the end.
    expect(renders.length - before).toBe(4);
  });
});
