/** What the compiler knows of a client. `tsc --noEmit` is the judge: an unused `@ts-expect-error` does not compile. */
import { describe, expectTypeOf, test } from 'vitest';
import type { CallOptions, Client, FermataError, Handle, StateOptions } from '../../src/client/client.ts';
import type { app } from './app.ts';

declare const client: Client<typeof app>;

describe('the client of an app', () => {
  test('has its actors, and their methods with input and result', () => {
    type Counter = ReturnType<typeof client.counter>;
    expectTypeOf<Counter['increment']>().toEqualTypeOf<(input?: undefined, options?: CallOptions) => Promise<number>>();
    expectTypeOf<Counter['add']>().toEqualTypeOf<
      (input: { amount: number }, options?: CallOptions) => Promise<number>
    >();
    expectTypeOf<Counter['rename']>().toEqualTypeOf<
      (input?: string, options?: CallOptions) => Promise<{ name: string }>
    >();
    expectTypeOf<Counter['meta']['id']>().toEqualTypeOf<string>();
  });

  test('types states and event payloads', () => {
    type Chat = ReturnType<typeof client.chat>;
    expectTypeOf<Chat['state']['get']>().returns.toEqualTypeOf<{ messages: { text: string }[] } | undefined>();
    const on = (chat: Chat): void => {
      chat.on('message', (payload) => expectTypeOf(payload).toEqualTypeOf<{ text: string }>(), { onGap: () => {} });
      chat.state.subscribe((state) => expectTypeOf(state.messages).toEqualTypeOf<{ text: string }[]>());
      chat.state.subscribe(() => {}, {
        onError: (error) => expectTypeOf(error).toEqualTypeOf<FermataError | undefined>(),
      });
      expectTypeOf<Parameters<Chat['state']['subscribe']>[1]>().toEqualTypeOf<StateOptions | undefined>();
      expectTypeOf(chat.state.error).toEqualTypeOf<FermataError | undefined>();
    };
    expectTypeOf(on).toBeFunction();
  });

  test('refuses what the app does not have', () => {
    const wrong = (chat: ReturnType<typeof client.chat>, counter: ReturnType<typeof client.counter>): void => {
      // @ts-expect-error no such actor
      client.nope('x');
      // @ts-expect-error ids are strings
      client.chat(1);
      // @ts-expect-error no such method
      void counter.subtract({ amount: 1 });
      // @ts-expect-error wrong input
      void counter.add({ amount: 'two' });
      // @ts-expect-error input is missing
      void counter.add();
      // @ts-expect-error takes no input
      void counter.increment({ amount: 1 });
      // @ts-expect-error no such event
      chat.on('nope', () => {});
      // @ts-expect-error events without a schema do not exist
      counter.on('message', () => {});
      void counter.add({ amount: 1 }, { key: 'k', timeoutMs: 5, retry: false, signal: AbortSignal.timeout(5) });
      // @ts-expect-error no such option
      void counter.add({ amount: 1 }, { timeout: 5 });
    };
    expectTypeOf(wrong).toBeFunction();
  });

  test('names a handle by its actor', () => {
    type Chat = NonNullable<(typeof app)['~types']>['chat'];
    expectTypeOf<ReturnType<typeof client.chat>>().toEqualTypeOf<Handle<Chat>>();
  });
});
