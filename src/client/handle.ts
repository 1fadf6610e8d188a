/**
 * The handle of one actor: its methods as functions, its events, its state. A Proxy, because a client has only the types
 * of an app and learns a method's name when it is called.
 *
 * A handle holds nothing: calls and subscriptions live with the client, so that a forgotten handle costs nothing. It must
 * never look like a promise, or awaiting it would call a method named `then` and wait for ever.
 */
import type { Actor, EventsOf, MethodsOf, StateOf } from '../actor/infer.ts';
import type { CallOptions } from './call.ts';
import type { Calls } from './calls.ts';
import type { FermataError } from './error.ts';
import type { EventOptions } from './event-feed.ts';
import type { ActorRef, StateOptions, Subscriptions } from './subscriptions.ts';

export interface StateHandle<State> {
  /**
   * Calls the listener at once when a state is known, then on each change; returns a function that ends it. The states
   * share what did not change: never write to them. A server that refused for good is asked anew.
   */
  subscribe(listener: (state: State) => void, options?: StateOptions): () => void;
  /** The last known state; undefined before the first snapshot and while nobody is subscribed. */
  get(): State | undefined;
  /** The same as `get`, under the name that other libraries use. */
  getSnapshot(): State | undefined;
  /**
   * Why the server gives no state, or no newer one: it refused the subscription for good. Undefined again once it is asked
   * anew (by a further `subscribe`, after a new token, after a reconnect), once a state arrives, and while nobody is subscribed.
   */
  readonly error: FermataError | undefined;
}

export interface HandleMeta {
  /** Name of the actor's type. */
  readonly name: string;
  readonly id: string;
  /** Ends every subscription to this actor. The handle stays usable. */
  dispose(): void;
}

export type ClientMethod<Method> = Method extends (...input: infer Input extends unknown[]) => infer Result
  ? (
      ...args: Input extends [] ? [input?: undefined, options?: CallOptions] : [...input: Input, options?: CallOptions]
    ) => Result
  : never;

export type Handle<AnyActor extends Actor> = {
  readonly [Name in keyof MethodsOf<AnyActor>]: ClientMethod<MethodsOf<AnyActor>[Name]>;
} & {
  /** Calls the listener on each event of this name; returns a function that ends it. */
  on<Name extends keyof EventsOf<AnyActor> & string>(
    event: Name,
    listener: (payload: EventsOf<AnyActor>[Name]) => void,
    options?: EventOptions,
  ): () => void;
  readonly state: StateHandle<StateOf<AnyActor>>;
  readonly meta: HandleMeta;
};

/** Types erased; `Client` gives them back. */
export function makeHandle(ref: ActorRef, calls: Calls, subscriptions: Subscriptions): object {
  const get = (): unknown => subscriptions.state(ref);
  const state: StateHandle<unknown> = {
    subscribe: (listener, options = {}) => subscriptions.onState(ref, listener, options),
    get,
    getSnapshot: get,
    get error() {
      return subscriptions.error(ref);
    },
  };
  const on = (event: string, listener: (payload: unknown) => void, options: EventOptions = {}): (() => void) =>
    subscriptions.onEvent(ref, event, listener, options);
  const meta: HandleMeta = { name: ref.actor, id: ref.actorId, dispose: () => subscriptions.drop(ref) };
  return namesAsFunctions({ state, on, meta }, (method) => (input: unknown, options: CallOptions = {}) => {
    return calls.call({ ...ref, method }, input, options);
  });
}

/** Names that languages and tools ask any object for. */
const neverFunctions: ReadonlySet<string> = new Set(['then', 'catch', 'finally', 'toJSON']);

/** `own`, with any further name answered by `make(name)`, once: the same name gives the same function. */
export function namesAsFunctions(own: object, make: (name: string) => unknown): object {
  return new Proxy(own, {
    get(target, name): unknown {
      if (typeof name === 'symbol' || neverFunctions.has(name)) return undefined;
      // Also what every object inherits: `constructor` and its like are no names on the server either.
      if (!(name in target)) Object.defineProperty(target, name, { value: make(name) });
      return Reflect.get(target, name);
    },
    set: () => false,
  });
}
