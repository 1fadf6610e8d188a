/** A page as a user of the hooks would write it, without JSX: one counter of the example, for test/journeys/react.test.ts. */
import { createElement, StrictMode, Suspense } from 'react';
import { createRoot } from 'react-dom/client';
import { createClient } from 'fermata/client';
import { createFermataReact } from 'fermata/react';
import type { app } from '../../examples/app.ts';

const { FermataProvider, useActor, useActorStateSuspense, useCall, useConnectionStatus } =
  createFermataReact<typeof app>();

function Status() {
  return createElement('p', { id: 'status' }, useConnectionStatus());
}

function Counter({ id }: { readonly id: string }) {
  const counter = useActor('counter', id);
  const count = useActorStateSuspense(counter, (state) => state.count);
  const { call, pending, error, result } = useCall(counter, 'increment');
  return createElement(
    'div',
    null,
    createElement('p', { id: 'count' }, `count ${count}`),
    createElement('button', { onClick: () => void call() }, 'more'),
    createElement(
      'p',
      { id: 'call' },
      `${pending ? 'pending' : 'idle'}, ${error?.code ?? 'fine'}, ${result ?? 'none'}`,
    ),
  );
}

const client = createClient<typeof app>({ url: location.origin });

createRoot(document.querySelector('#root')!).render(
  createElement(
    StrictMode,
    null,
    createElement(
      FermataProvider,
      { client },
      createElement(Status),
      createElement(
        Suspense,
        { fallback: createElement('p', null, 'waiting') },
        createElement(Counter, { id: 'clicks' }),
      ),
    ),
  ),
);
