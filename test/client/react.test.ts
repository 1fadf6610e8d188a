// @vitest-environment jsdom
import { act, createElement, StrictMode, version } from 'react';
import { createRoot } from 'react-dom/client';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { Handle } from '../../src/client/client.ts';
import type { app } from './app.ts';
import { expectingErrors, hooks, passMs, Screen, useScreens } from './react-screen.ts';
import { Wire } from './react-wire.ts';

const { useActor, useActorState, useClient, useConnectionStatus } = hooks;
type Counter = Handle<NonNullable<(typeof app)['~types']>['counter']>;

useScreens();

let wire: Wire;
let screen: Screen;

beforeEach(async () => {
  wire = await new Wire().connect();
  screen = new Screen(wire);
});

/** Shows a count, and counts its own renders. */
function count(renders: unknown[] = []) {
  return function Count({ id = 'c1' }: { readonly id?: string }) {
    const state = useActorState(useActor('counter', id));
    renders.push(state);
    return state === undefined ? 'nothing' : `count ${state.count}`;
  };
}

test('the React under test is the one that this run is about', () => {
  expect(version.split('.')[0]).toBe(process.env['REACT_MAJOR']);
});

describe('the provider', () => {
  test('gives its client, and the handles of that client', async () => {
    const seen: unknown[] = [];
    const Probe = () => {
      seen.push(useClient(), useActor('counter', 'c1'));
      return null;
    };
    await screen.show(createElement(Probe));
    await screen.show(createElement(Probe));
    const handle = wire.client.counter('c1');
    expect(seen).toEqual([wire.client, handle, wire.client, handle]);
    expect(seen[3]).toBe(handle);
  });

  test('is missed with a sentence that says what to do', async () => {
    const Probe = () => useConnectionStatus();
    const root = createRoot(document.createElement('div'), { onUncaughtError: () => {} });
    await expectingErrors(() =>
      expect(act(async () => root.render(createElement(Probe)))).rejects.toThrow(
        'hooks of fermata/react need a <FermataProvider client={client}> above the component',
      ),
    );
  });

  test('leaves the client open when it goes', async () => {
    await screen.show(createElement(count()));
    await screen.clear();
    expect(wire.client.connection.status).toBe('connected');
  });
});

describe('a state', () => {
  test('is undefined at first, then what the server tells', async () => {
    await screen.show(createElement(count()));
    expect(screen.text).toBe('nothing');
    await wire.counts('c1', 1);
    expect(screen.text).toBe('count 1');
    const patches = [{ op: 'replace' as const, path: '/count', value: 2 }];
    await wire.tell({ type: 'state:patch', actor: 'counter', actorId: 'c1', patches });
    expect(screen.text).toBe('count 2');
  });

  test('is subscribed to once however many components show it, in StrictMode too, and to the end of the last one', async () => {
    const [One, Two] = [count(), count()];
    const both = createElement(StrictMode, null, createElement(One), createElement(Two));
    await screen.show(both);
    await wire.counts('c1', 1);
    expect(screen.text).toBe('count 1count 1');
    expect(wire.takeSubscriptions()).toEqual(['state:sub c1']);
    await screen.show(createElement(StrictMode, null, createElement(One)));
    await passMs(60_000);
    expect(wire.takeSubscriptions()).toEqual([]);
    await screen.show(null);
    await passMs(60_000);
    expect(wire.takeSubscriptions()).toEqual(['state:unsub c1']);
    expect(wire.client.counter('c1').state.get()).toBeUndefined();
  });

  test('is still there for a component that comes back at once', async () => {
    const Count = count();
    await screen.show(createElement(Count, { key: 1 }));
    await wire.counts('c1', 1);
    wire.take();
    await screen.show(null);
    await screen.show(createElement(Count, { key: 2 }));
    expect(screen.text).toBe('count 1');
    await screen.show(createElement(Count, { key: 3 }));
    expect(screen.text).toBe('count 1');
    await passMs(600);
    await screen.show(null);
    await passMs(600);
    await screen.show(createElement(Count, { key: 4 }));
    expect(screen.text).toBe('count 1');
    await passMs(60_000);
    expect(wire.takeSubscriptions()).toEqual([]);
  });

  test('belongs to the actor that is shown now', async () => {
    const Count = count();
    await screen.show(createElement(Count, { id: 'c1' }));
    await wire.counts('c1', 1);
    await screen.show(createElement(Count, { id: 'c2' }));
    expect(screen.text).toBe('nothing');
    await wire.counts('c1', 5);
    expect(screen.text).toBe('nothing');
    await wire.counts('c2', 7);
    expect(screen.text).toBe('count 7');
    await passMs(60_000);
    expect(wire.takeSubscriptions()).toEqual(['state:sub c1', 'state:sub c2', 'state:unsub c1']);
  });
});

describe('a selector', () => {
  test('that is written inline neither subscribes again nor renders for a selection that stays', async () => {
    const subscribe = vi.spyOn(wire.client.counter('c1').state, 'subscribe');
    const renders: unknown[] = [];
    const Parity = () => {
      const even = useActorState(useActor('counter', 'c1'), ({ count: n }) => n % 2 === 0);
      renders.push(even);
      return String(even);
    };
    await screen.show(createElement(Parity));
    await wire.counts('c1', 2);
    await wire.counts('c1', 4);
    await wire.counts('c1', 6);
    expect(renders).toEqual([undefined, true]);
    await wire.counts('c1', 7);
    expect(renders).toEqual([undefined, true, false]);
    expect(subscribe).toHaveBeenCalledOnce();
    expect(wire.takeSubscriptions()).toEqual(['state:sub c1']);
  });

  test('may give a new object each time: an equality keeps the first, and without one it still comes to rest', async () => {
    const seen: unknown[] = [];
    let renders = 0;
    const Pair = () => {
      const counter = useActor('counter', 'c1');
      const half = ({ count: n }: { count: number }) => ({ half: Math.floor(n / 2) });
      seen.push(useActorState(counter, half, (a, b) => a.half === b.half));
      return null;
    };
    const Restless = () => {
      renders += 1;
      return String(useActorState(useActor('counter', 'c1'), ({ count: n }) => [n])?.[0]);
    };
    await screen.show([createElement(Pair, { key: 'pair' }), createElement(Restless, { key: 'restless' })]);
    await wire.counts('c1', 2);
    const [, first] = seen;
    expect(first).toEqual({ half: 1 });
    await wire.counts('c1', 3);
    await screen.show([createElement(Pair, { key: 'pair' }), createElement(Restless, { key: 'restless' })]);
    expect(new Set(seen)).toEqual(new Set([undefined, first]));
    expect(seen.at(-1)).toBe(first);
    expect(screen.text).toBe('3');
    expect(renders).toBe(4);
  });

  test('sees what the component sees', async () => {
    const Times = ({ factor }: { readonly factor: number }) =>
      String(useActorState(useActor('counter', 'c1'), ({ count: n }) => n * factor));
    await screen.show(createElement(Times, { factor: 2 }));
    await wire.counts('c1', 3);
    expect(screen.text).toBe('6');
    await screen.show(createElement(Times, { factor: 10 }));
    expect(screen.text).toBe('30');
  });

  test('may give undefined, and its equality never compares two actors', async () => {
    const alwaysEqual = () => true;
    const Kept = ({ counter }: { readonly counter: Counter }) =>
      String(useActorState(counter, ({ count: n }) => (n === 0 ? undefined : n), alwaysEqual));
    await screen.show(createElement(Kept, { counter: wire.client.counter('c1') }));
    await wire.counts('c1', 0);
    await wire.counts('c1', 1);
    expect(screen.text).toBe('undefined');
    const stop = wire.client.counter('c2').state.subscribe(() => {});
    await wire.counts('c2', 2);
    await screen.show(createElement(Kept, { counter: wire.client.counter('c2') }));
    expect(screen.text).toBe('2');
    stop();
  });
});

describe('the status of the connection', () => {
  test('is shown as it changes', async () => {
    const fresh = new Wire();
    const Status = () => useConnectionStatus();
    const other = await new Screen(fresh).show(createElement(Status));
    expect(other.text).toBe('connecting');
    await fresh.connect();
    expect(other.text).toBe('connected');
    await fresh.end(1006);
    expect(other.text).toBe('reconnecting');
  });
});
