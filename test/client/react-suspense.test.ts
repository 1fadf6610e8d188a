// @vitest-environment jsdom
import { act, Component, createElement, type ReactNode, startTransition, StrictMode, Suspense, useState } from 'react';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { hooks, expectingErrors, passMs, Screen, useScreens } from './react-screen.ts';
import { Wire } from './react-wire.ts';

const { useActor, useActorState, useActorStateSuspense } = hooks;

useScreens();

let wire: Wire;
let screen: Screen;

beforeEach(async () => {
  wire = await new Wire().connect();
  screen = new Screen(wire);
});

const Count = ({ id = 'c1' }: { readonly id?: string }) =>
  `count ${useActorStateSuspense(useActor('counter', id)).count}`;

function waiting(...children: ReactNode[]) {
  return createElement(StrictMode, null, createElement(Suspense, { fallback: 'waiting' }, ...children));
}

class Boundary extends Component<{ readonly children: ReactNode }, { readonly failed: string | undefined }> {
  override state: { readonly failed: string | undefined } = { failed: undefined };
  static getDerivedStateFromError(error: { code?: string }) {
    return { failed: error.code };
  }
  override render() {
    return this.state.failed ?? this.props.children;
  }
}

describe('a component that cannot do without a state', () => {
  test('waits for the first one, by one subscription, which ends with it', async () => {
    await screen.show(waiting(createElement(Count)));
    expect(screen.text).toBe('waiting');
    await wire.counts('c1', 1);
    expect(screen.text).toBe('count 1');
    await wire.counts('c1', 2);
    expect(screen.text).toBe('count 2');
    await passMs(60_000);
    expect(wire.takeSubscriptions()).toEqual(['state:sub c1']);
    await wire.counts('c1', 3);
    expect(screen.text).toBe('count 3');
    await screen.show(null);
    await passMs(60_000);
    expect(wire.takeSubscriptions()).toEqual(['state:unsub c1']);
  });

  test('does not wait when the state is there already', async () => {
    const stop = wire.client.counter('c1').state.subscribe(() => {});
    await wire.counts('c1', 1);
    const fallbacks: string[] = [];
    const Fallback = () => {
      fallbacks.push('shown');
      return null;
    };
    await screen.show(createElement(Suspense, { fallback: createElement(Fallback) }, createElement(Count)));
    expect([screen.text, fallbacks]).toEqual(['count 1', []]);
    stop();
  });

  test('shares one promise with every other that waits for the same actor', async () => {
    const Even = () => `, even ${useActorStateSuspense(useActor('counter', 'c1'), ({ count: n }) => n % 2 === 0)}`;
    const counter = wire.client.counter('c1');
    const subscribe = vi.spyOn(counter.state, 'subscribe');
    await screen.show(waiting(createElement(Count), createElement(Even)));
    await screen.show(waiting(createElement(Count), createElement(Even)));
    expect(subscribe).toHaveBeenCalledOnce();
    await wire.counts('c1', 2);
    expect(screen.text).toBe('count 2, even true');
    expect(wire.takeSubscriptions()).toEqual(['state:sub c1']);
  });

  test('leaves nothing behind when it is thrown away while it waits', async () => {
    await screen.show(waiting(createElement(Count)));
    await screen.show(null);
    expect(wire.takeSubscriptions()).toEqual(['state:sub c1']);
    await passMs(60_000);
    expect(wire.takeSubscriptions()).toEqual(['state:unsub c1']);
    await passMs(600_000);
    expect(wire.takeSubscriptions()).toEqual([]);
  });

  test('leaves nothing behind when the state comes after it was thrown away', async () => {
    await screen.show(waiting(createElement(Count)));
    await screen.show(null);
    await wire.counts('c1', 1);
    await passMs(60_000);
    expect(wire.takeSubscriptions()).toEqual(['state:sub c1', 'state:unsub c1']);
  });

  test('waits no longer than for the state when it comes back after the actor was disposed of', async () => {
    await screen.show(waiting(createElement(Count)));
    await wire.counts('c1', 1);
    await screen.show(null);
    wire.client.counter('c1').meta.dispose();
    wire.take();
    await screen.show(waiting(createElement(Count)));
    await wire.counts('c1', 2);
    expect(screen.text).toBe('count 2');
    expect(wire.takeSubscriptions()).toEqual(['state:sub c1']);
    await screen.show(null);
    await passMs(60_000);
    expect(wire.takeSubscriptions()).toEqual(['state:unsub c1']);
  });

  test('waits for as long as it takes, without subscribing again', async () => {
    await screen.show(waiting(createElement(Count)));
    // In steps: React renders between them only.
    for (let seconds = 0; seconds < 300; seconds += 5) await passMs(5000);
    expect(screen.text).toBe('waiting');
    expect(wire.takeSubscriptions()).toEqual(['state:sub c1']);
    await wire.counts('c1', 1);
    expect(screen.text).toBe('count 1');
    expect(wire.takeSubscriptions()).toEqual([]);
  });

  test('waits again for another actor, unless a transition keeps the old one on screen', async () => {
    let setId = (_id: string): void => {};
    const Chosen = () => {
      const [id, set] = useState('c1');
      setId = set;
      return createElement(Suspense, { fallback: 'waiting' }, createElement(Count, { id }));
    };
    await screen.show(createElement(StrictMode, null, createElement(Chosen)));
    await wire.counts('c1', 1);
    await act(async () => startTransition(() => setId('c2')));
    expect(screen.text).toBe('count 1');
    await wire.counts('c1', 11);
    expect(screen.text).toBe('count 11');
    await wire.counts('c2', 2);
    expect(screen.text).toBe('count 2');
    await act(async () => setId('c3'));
    expect(screen.text).toContain('waiting');
    await wire.counts('c3', 3);
    expect(screen.text).toBe('count 3');
    await passMs(60_000);
    expect(wire.takeSubscriptions().toSorted()).toEqual([
      'state:sub c1',
      'state:sub c2',
      'state:sub c3',
      'state:unsub c1',
      'state:unsub c2',
    ]);
  });

  test('lives beside one that can', async () => {
    const Loose = () => `loose ${useActorState(useActor('counter', 'c1'))?.count ?? 'nothing'}, `;
    await screen.show([
      createElement(Loose, { key: 'loose' }),
      createElement('p', { key: 'p' }, waiting(createElement(Count))),
    ]);
    expect(screen.text).toBe('loose nothing, waiting');
    await wire.counts('c1', 1);
    expect(screen.text).toBe('loose 1, count 1');
  });
});

describe('a state that will never come', () => {
  test('goes to the error boundary when the client is closed already', async () => {
    wire.client.connection.close();
    await expectingErrors(async () => {
      await screen.show(createElement(Boundary, null, waiting(createElement(Count))));
    });
    expect(screen.text).toBe('CLOSED');
  });

  test.each([
    ['closed', 'CLOSED', (at: Wire) => act(async () => at.client.connection.close())],
    ['forbidden', 'FORBIDDEN', (at: Wire) => at.end(4403)],
  ] as const)('goes to the error boundary when the client is %s meanwhile', async (_, code, end) => {
    await screen.show(createElement(Boundary, null, waiting(createElement(Count))));
    expect(screen.text).toBe('waiting');
    await expectingErrors(() => end(wire));
    expect(screen.text).toBe(code);
  });

  test('is no matter once there was one: the last stays on screen', async () => {
    await screen.show(createElement(Boundary, null, waiting(createElement(Count))));
    await wire.counts('c1', 1);
    await act(async () => wire.client.connection.close());
    expect(screen.text).toBe('count 1');
  });
});
