// @vitest-environment jsdom
/** As docs/react.md advises to test components: against a server in this process, with a client of the test's own. */
import { Component, createElement, type ReactNode, Suspense } from 'react';
import { createRoot } from 'react-dom/client';
import { expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { actor } from '../../src/actor/actor.ts';
import { createApp } from '../../src/actor/app.ts';
import { createClient } from '../../src/client/client.ts';
import { createFermataReact } from '../../src/client/react.ts';
import { serve } from '../../src/testing/serve.ts';
import { app } from './app.ts';
import { hooks } from './react-screen.ts';

const { FermataProvider, useActor, useActorState, useCall } = hooks;

const Counter = () => {
  const counter = useActor('counter', 'c1');
  const count = useActorState(counter, (state) => state.count);
  const { call, result } = useCall(counter, 'increment');
  return createElement('button', { onClick: () => void call() }, `count ${count ?? 'nothing'}, ${result ?? 'none'}`);
};

test('components work with a real server', async () => {
  const server = serve(app);
  onTestFinished(() => server.close());
  const client = createClient<typeof app>({ url: server.url, WebSocket });
  onTestFinished(() => client.connection.close());
  const page = document.body.appendChild(document.createElement('div'));
  const root = createRoot(page);
  onTestFinished(() => root.unmount());
  root.render(createElement(FermataProvider, { client }, createElement(Counter)));
  await vi.waitUntil(() => page.textContent === 'count 0, none', { timeout: 10_000 });
  page.querySelector('button')?.click();
  await vi.waitUntil(() => page.textContent === 'count 1, 1', { timeout: 10_000 });
  await client.counter('c1').add({ amount: 4 });
  await vi.waitUntil(() => page.textContent === 'count 5, 1', { timeout: 10_000 });
  expect(page.querySelectorAll('button')).toHaveLength(1);
});

test('a state that a real server refuses goes to the boundary, and comes when it is allowed', async () => {
  let open = false;
  const vault = actor({
    state: z.object({ gold: z.number().default(7) }),
    authorize: () => open,
    methods: {},
  });
  const guarded = createApp({ actors: { vault } });
  const own = createFermataReact<typeof guarded>();
  const Gold = () => `gold ${own.useActorStateSuspense(own.useActor('vault', 'v1')).gold}`;
  class Boundary extends Component<{ readonly children?: ReactNode }, { readonly code: string | undefined }> {
    override state: { readonly code: string | undefined } = { code: undefined };
    static getDerivedStateFromError(error: { code?: string }) {
      return { code: error.code };
    }
    override render() {
      if (this.state.code === undefined) return this.props.children;
      return createElement('button', { onClick: () => this.setState({ code: undefined }) }, this.state.code);
    }
  }
  // What a boundary catches is told to the console, and by React 18 to the page too.
  const complaints = vi.spyOn(console, 'error').mockImplementation(() => {});
  onTestFinished(() => complaints.mockRestore());
  const quiet = (event: Event): void => event.preventDefault();
  window.addEventListener('error', quiet);
  onTestFinished(() => window.removeEventListener('error', quiet));

  const server = serve(guarded);
  onTestFinished(() => server.close());
  const client = createClient<typeof guarded>({ url: server.url, WebSocket });
  onTestFinished(() => client.connection.close());
  const page = document.body.appendChild(document.createElement('div'));
  const root = createRoot(page);
  onTestFinished(() => root.unmount());
  const waiting = createElement(Suspense, { fallback: 'waiting' }, createElement(Gold));
  root.render(createElement(own.FermataProvider, { client }, createElement(Boundary, null, waiting)));
  await vi.waitUntil(() => page.textContent === 'FORBIDDEN', { timeout: 10_000 });
  open = true;
  // As often as it takes: a boundary that is reset at once shows the same refusal.
  await vi.waitUntil(
    () => {
      page.querySelector('button')?.click();
      return page.textContent === 'gold 7';
    },
    { timeout: 10_000 },
  );
});
