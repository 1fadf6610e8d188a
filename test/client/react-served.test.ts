// @vitest-environment jsdom
/** As docs/react.md advises to test components: against a server in this process, with a client of the test's own. */
import { createElement } from 'react';
import { createRoot } from 'react-dom/client';
import { expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { createClient } from '../../src/client/client.ts';
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
