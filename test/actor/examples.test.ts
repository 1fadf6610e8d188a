/**
 * The examples promise names that people and scripts rely on. Handlers are plain functions of their context, so they are
 * called here as the runtime would, on a state that is no draft.
 */
import { describe, expect, expectTypeOf, test } from 'vitest';
import type { Actor, ActorDefinition, ActorsOf, EventsOf, MethodsOf, StateOf } from 'fermata';
import { app } from '../../examples/app.ts';
import { app as chatApp, chat } from '../../examples/chat.ts';
import { app as counterApp, counter } from '../../examples/counter.ts';

type Given = { state: object; input?: unknown; clientId?: string; userId?: string | null; clients?: string[] };
type Sent = { event: string; payload: unknown };

/** Calls a method or a hook and returns its result and what it broadcast. */
function run(definition: ActorDefinition, name: string, given: Given): { result: unknown; sent: Sent[] } {
  const sent: Sent[] = [];
  const { state, clientId = 'client-1', userId = null, clients = [] } = given;
  const method = definition.methods.get(name);
  const handler = method?.handler ?? definition[name as 'onConnect' | 'onDisconnect' | 'onActivate'];
  const emit = (event: string, payload?: unknown) => ({
    broadcast: () => void sent.push({ event, payload }),
    to: () => expect.unreachable(),
    except: () => expect.unreachable(),
  });
  const context = { state, input: given.input, clientId, userId, clients: new Set(clients), now: () => 1234, emit };
  return { result: handler!(context as never), sent };
}

function firstState<AnyActor extends Actor>(definition: AnyActor): StateOf<AnyActor> {
  const made = definition.state['~standard'].validate({});
  if (made instanceof Promise || made.issues !== undefined) return expect.unreachable();
  return made.value as StateOf<AnyActor>;
}

describe('the example app', () => {
  test('serves counter and chat, and each of them alone', () => {
    expect([...app.actors.keys()]).toEqual(['counter', 'chat']);
    expect([...counterApp.actors]).toEqual([['counter', counter]]);
    expect([...chatApp.actors]).toEqual([['chat', chat]]);
  });

  test('is known to clients by its type', () => {
    type Actors = ActorsOf<typeof app>;
    expectTypeOf<MethodsOf<Actors['counter']>>().toEqualTypeOf<{
      readonly increment: () => Promise<number>;
      readonly add: (input: { amount: number }) => Promise<number>;
    }>();
    expectTypeOf<StateOf<Actors['counter']>>().toEqualTypeOf<{ count: number }>();
    expectTypeOf<MethodsOf<Actors['chat']>['sendMessage']>().toEqualTypeOf<
      (input: { text: string }) => Promise<void>
    >();
    type Message = { from: string; text: string; at: number };
    expectTypeOf<EventsOf<Actors['chat']>>().toEqualTypeOf<{ readonly message: Message }>();
    expectTypeOf<StateOf<Actors['chat']>['messages']>().toEqualTypeOf<Message[]>();
  });
});

describe('the counter', () => {
  test('counts from 0 and answers with the new count', () => {
    const state = firstState(counter);
    expect(run(counter, 'increment', { state }).result).toBe(1);
    expect(run(counter, 'add', { state, input: { amount: 4 } }).result).toBe(5);
    expect(state).toEqual({ count: 5 });
  });
});

describe('the chat', () => {
  test('keeps a message with its sender and time, and tells everybody', () => {
    const state = firstState(chat);
    const { sent } = run(chat, 'sendMessage', { state, input: { text: 'hi' }, userId: 'ann' });
    expect(state.messages).toEqual([{ from: 'ann', text: 'hi', at: 1234 }]);
    expect(sent).toEqual([{ event: 'message', payload: { from: 'ann', text: 'hi', at: 1234 } }]);
    run(chat, 'sendMessage', { state, input: { text: 'who am I?' }, clientId: 'client-7' });
    expect(state.messages[1]?.from).toBe('client-7');
  });

  test('keeps the last 200 messages', () => {
    const state = firstState(chat);
    for (let n = 1; n <= 203; n += 1) run(chat, 'sendMessage', { state, input: { text: String(n) } });
    expect(state.messages).toHaveLength(200);
    expect(state.messages[0]?.text).toBe('4');
    expect(state.messages.at(-1)?.text).toBe('203');
  });

  test('shows who is connected, once per connection', () => {
    const state = firstState(chat);
    run(chat, 'onConnect', { state, clientId: 'a', userId: 'ann' });
    run(chat, 'onConnect', { state, clientId: 'b', userId: 'ann' });
    run(chat, 'onConnect', { state, clientId: 'c' });
    run(chat, 'onDisconnect', { state, clientId: 'a', userId: 'ann' });
    expect(state.online).toEqual({ b: { name: 'ann' }, c: { name: 'c' } });
  });
});
