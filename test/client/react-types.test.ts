/** What the compiler knows of the hooks, and what the module carries. `tsc --noEmit` is the judge of the first. */
import { readFileSync } from 'node:fs';
import type { ReactElement } from 'react';
import { describe, expect, expectTypeOf, test } from 'vitest';
import type { CallOptions, Client, ConnectionStatus, FermataError } from '../../src/client/client.ts';
import { createFermataReact } from '../../src/client/react.ts';
import { importsOf } from '../tidy/source-text.ts';
import type { app } from './app.ts';

const hooks = createFermataReact<typeof app>();
const { FermataProvider, useActor, useActorState, useActorStateSuspense, useCall, useClient, useEvent } = hooks;
declare const client: Client<typeof app>;
const never = (_code: () => void): void => {};
const sameText = (a: string, b: string): boolean => a === b;

describe('the hooks of an app', () => {
  test('know its actors', () => {
    never(() => {
      expectTypeOf(useClient()).toEqualTypeOf<typeof client>();
      expectTypeOf(useActor('counter', 'c1')).toEqualTypeOf<ReturnType<typeof client.counter>>();
      expectTypeOf(useActor('chat', 'lobby')).toEqualTypeOf<ReturnType<typeof client.chat>>();
      expectTypeOf(FermataProvider({ client })).toEqualTypeOf<ReactElement>();
      expectTypeOf(hooks.useConnectionStatus()).toEqualTypeOf<ConnectionStatus>();
    });
  });

  test('know states and selections', () => {
    never(() => {
      const chat = useActor('chat', 'lobby');
      expectTypeOf(useActorState(chat)).toEqualTypeOf<{ messages: { text: string }[] } | undefined>();
      expectTypeOf(useActorState(chat, (state) => state.messages.length)).toEqualTypeOf<number | undefined>();
      expectTypeOf(hooks.useActorError(chat)).toEqualTypeOf<FermataError | undefined>();
      expectTypeOf(useActorStateSuspense(chat)).toEqualTypeOf<{ messages: { text: string }[] }>();
      expectTypeOf(useActorStateSuspense(chat, ({ messages }) => messages.at(-1)?.text)).toEqualTypeOf<
        string | undefined
      >();
      useActorState(
        chat,
        ({ messages }) => messages.map(({ text }) => text),
        (a, b) => {
          expectTypeOf(a).toEqualTypeOf<string[]>();
          return a.length === b.length;
        },
      );
    });
  });

  test('know events', () => {
    never(() => {
      const chat = useActor('chat', 'lobby');
      useEvent(chat, 'message', (payload) => expectTypeOf(payload).toEqualTypeOf<{ text: string }>());
      useEvent(chat, 'cleared', ({ by }) => expectTypeOf(by).toEqualTypeOf<string>(), { onGap: () => {} });
    });
  });

  test('know calls', () => {
    never(() => {
      const counter = useActor('counter', 'c1');
      const add = useCall(counter, 'add');
      expectTypeOf(add.call).toEqualTypeOf<(input: { amount: number }, options?: CallOptions) => Promise<number>>();
      expectTypeOf(add.result).toEqualTypeOf<number | undefined>();
      expectTypeOf(add.error).toEqualTypeOf<FermataError | undefined>();
      expectTypeOf(add.pending).toEqualTypeOf<boolean>();
      expectTypeOf(add.pendingCount).toEqualTypeOf<number>();
      expectTypeOf(useCall(counter, 'increment').call).toEqualTypeOf<
        (input?: undefined, options?: CallOptions) => Promise<number>
      >();
      expectTypeOf(useCall(counter, 'rename').result).toEqualTypeOf<{ name: string } | undefined>();
    });
  });

  test('refuse what the app does not have', () => {
    never(() => {
      const chat = useActor('chat', 'lobby');
      const counter = useActor('counter', 'c1');
      // @ts-expect-error no such actor
      useActor('nope', 'x');
      // @ts-expect-error ids are strings
      useActor('chat', 1);
      // @ts-expect-error the client's own name is no actor
      useActor('connection', 'x');
      // @ts-expect-error no such field
      useActorState(chat, (state) => state.count);
      // @ts-expect-error no such field
      useActorStateSuspense(counter, (state) => state.messages);
      // @ts-expect-error the selector gives numbers
      useActorState(counter, ({ count }) => count, sameText);
      // @ts-expect-error there may be no state yet
      useActorState(counter).count.toFixed();
      // @ts-expect-error the error of an actor, not of its state
      hooks.useActorError(chat.state);
      // @ts-expect-error no such method
      useCall(counter, 'subtract');
      // @ts-expect-error a handle's own things are no methods
      useCall(counter, 'state');
      // @ts-expect-error wrong input
      void useCall(counter, 'add').call({ amount: 'two' });
      // @ts-expect-error input is missing
      void useCall(counter, 'add').call();
      // @ts-expect-error no such option
      void useCall(counter, 'add').call({ amount: 1 }, { timeout: 5 });
      // @ts-expect-error no such event
      useEvent(chat, 'nope', () => {});
      // @ts-expect-error events without a schema do not exist
      useEvent(counter, 'message', () => {});
      // @ts-expect-error no such payload
      useEvent(chat, 'message', ({ title }) => title);
      // @ts-expect-error a client is needed
      FermataProvider({});
      // @ts-expect-error not a client of this app
      FermataProvider({ client: {} });
    });
  });
});

test('of the client the hooks import only types, so that a page carries it once', () => {
  const ours = ['react', 'react-state', 'react-hold', 'react-event', 'react-call'];
  const imported = ours.flatMap((name) =>
    importsOf(readFileSync(new URL(`../../src/client/${name}.ts`, import.meta.url), 'utf8')),
  );
  const carried = imported.filter(({ kind }) => kind !== 'type').map(({ module }) => module);
  expect(new Set(carried)).toEqual(new Set(['react', ...ours.slice(1).map((name) => `./${name}.ts`)]));
});
