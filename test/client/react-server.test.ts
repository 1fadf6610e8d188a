// @vitest-environment jsdom
import { createElement, Suspense } from 'react';
import { renderToString } from 'react-dom/server';
import { beforeEach, describe, expect, test } from 'vitest';
import { expectingErrors, hooks, Screen, useScreens } from './react-screen.ts';
import { Wire } from './react-wire.ts';

const {
  FermataProvider,
  useActor,
  useActorError,
  useActorState,
  useActorStateSuspense,
  useCall,
  useConnectionStatus,
  useEvent,
} = hooks;

useScreens();

let wire: Wire;

beforeEach(async () => {
  wire = await new Wire().connect();
});

const Everything = () => {
  const counter = useActor('counter', 'c1');
  const { pending, call } = useCall(counter, 'increment');
  useEvent(useActor('chat', 'lobby'), 'message', () => {});
  const status = useConnectionStatus();
  const count = useActorState(counter, (state) => state.count);
  const shown = useActorError(counter)?.code ?? count ?? 'nothing';
  return createElement('button', { disabled: pending, onClick: () => void call() }, `${status} ${shown}`);
};

const Waiting = () =>
  createElement(
    Suspense,
    { fallback: 'waiting' },
    createElement(() => `${useActorStateSuspense(useActor('counter', 'c1')).count}`),
  );

const onServer = (component: () => ReturnType<typeof createElement>) =>
  renderToString(createElement(FermataProvider, { client: wire.client }, createElement(component)));

describe('on a server', () => {
  test('there is no state and no connection, and nothing is subscribed', async () => {
    const stop = wire.client.counter('c1').state.subscribe(() => {});
    await wire.counts('c1', 1);
    wire.take();
    expect(onServer(Everything)).toBe('<button>connecting nothing</button>');
    expect(wire.take()).toEqual([]);
    stop();
  });

  test('what needs a state shows the fallback, and the browser goes on from there', async () => {
    let html = '';
    await expectingErrors(async () => void (html = onServer(Waiting)));
    expect(html).toContain('waiting');
    expect(wire.take()).toEqual([]);
    const screen = await new Screen(wire).hydrate(html, createElement(Waiting), () => {});
    expect(screen.text).toContain('waiting');
    await wire.counts('c1', 1);
    expect(screen.text).toBe('1');
    expect(wire.takeSubscriptions()).toEqual(['state:sub c1']);
  });
});

test('the browser takes over what the server rendered, and then shows what is', async () => {
  const html = onServer(Everything);
  const recovered: unknown[] = [];
  const screen = await new Screen(wire).hydrate(html, createElement(Everything), (error) => recovered.push(error));
  expect(screen.text).toBe('connected nothing');
  await wire.counts('c1', 1);
  expect(screen.text).toBe('connected 1');
  expect(recovered).toEqual([]);
});
