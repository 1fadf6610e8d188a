/**
 * `fermata/react`: the client for components, with React 18 and 19. A project makes its hooks once, from its app's type:
 *
 *     // fermata.ts
 *     import { createFermataReact } from 'fermata/react';
 *     import type { app } from './app.ts';
 *
 *     export const { FermataProvider, useActor, useActorState, useCall } = createFermataReact<typeof app>();
 *
 * A factory, because a context is a value and cannot learn a type from the provider above: this way the context itself is
 * of the app, and hooks of one app never see the client of another.
 *
 * This file joins the parts: `react-state.ts` reads states, `react-event.ts` listens, `react-call.ts` follows calls,
 * `react-hold.ts` keeps subscriptions that no component has. Of the client only types are imported: whoever makes it
 * carries it, and ends it.
 */
'use client';

import type { ReactElement, ReactNode } from 'react';
import { createContext, createElement, useContext, useMemo, useSyncExternalStore } from 'react';
import type { Actor, ActorsOf, App, EventsOf, MethodsOf } from '../actor/infer.ts';
import type { Client, ConnectionStatus, FermataError, Handle } from './client.ts';
import type { EventOptions } from './event-feed.ts';
import { type CallState, useCall } from './react-call.ts';
import { useEvent } from './react-event.ts';
import { type StateOwner, useActorError, useActorState, useKnownState } from './react-state.ts';

export type { CallState } from './react-call.ts';

export interface FermataProviderProps<AnyApp extends App> {
  /** Whoever made it closes it: the provider does not. */
  readonly client: Client<AnyApp>;
  readonly children?: ReactNode;
}

/** Types of actors that a client reaches: `connection` is the client's own name. */
export type ActorName<AnyApp extends App> = Exclude<keyof ActorsOf<AnyApp> & string, 'connection'>;

/** Holds when two selections are the same to the component. */
export type Equality<Selection> = (a: Selection, b: Selection) => boolean;

export interface FermataReact<AnyApp extends App> {
  /** Gives the client to the components below. */
  FermataProvider: (props: FermataProviderProps<AnyApp>) => ReactElement;
  /** The client of the provider above. @throws Error when there is none, as do all hooks that need it */
  useClient: () => Client<AnyApp>;
  /** The handle of one actor: the same object on each render. */
  useActor: <Type extends ActorName<AnyApp>>(type: Type, id: string) => Handle<ActorsOf<AnyApp>[Type]>;
  /** The actor's state, or what the selector takes of it; undefined until the first one arrived: see `useActorError`. */
  useActorState: {
    <State>(handle: StateOwner<State>): State | undefined;
    <State, Selection>(
      handle: StateOwner<State>,
      selector: (state: State) => Selection,
      isEqual?: Equality<Selection>,
    ): Selection | undefined;
  };
  /**
   * The same for a component below `<Suspense>`: it waits there for the first state, so that it always has one.
   * @throws FermataError to the error boundary when no state will come: the server refused it for good, or the client is
   * `closed` or `unauthorized`
   */
  useActorStateSuspense: {
    <State>(handle: StateOwner<State>): State;
    <State, Selection>(
      handle: StateOwner<State>,
      selector: (state: State) => Selection,
      isEqual?: Equality<Selection>,
    ): Selection;
  };
  /** Why the server gives no state of this actor, or no newer one: it refused for good. Undefined while it has not. */
  useActorError: (handle: StateOwner<unknown>) => FermataError | undefined;
  /** Calls the listener of the latest render on each event of this name, for as long as the component is mounted. */
  useEvent: <AnyActor extends Actor, Name extends keyof EventsOf<AnyActor> & string>(
    handle: Handle<AnyActor>,
    event: Name,
    listener: (payload: EventsOf<AnyActor>[Name]) => void,
    options?: EventOptions,
  ) => void;
  /** The calls that this component makes of one method. */
  useCall: <AnyActor extends Actor, Name extends keyof MethodsOf<AnyActor> & string>(
    handle: Handle<AnyActor>,
    method: Name,
  ) => CallState<Handle<AnyActor>[Name]>;
  useConnectionStatus: () => ConnectionStatus;
}

/** The hooks of one app. Call it once, outside of components: each call has a context of its own. */
export function createFermataReact<AnyApp extends App>(): FermataReact<AnyApp> {
  const context = createContext<Client<AnyApp> | undefined>(undefined);
  context.displayName = 'Fermata';

  function useClient(): Client<AnyApp> {
    const client = useContext(context);
    if (client !== undefined) return client;
    throw new Error('hooks of fermata/react need a <FermataProvider client={client}> above the component');
  }

  return {
    FermataProvider: ({ client, children }) => createElement(context.Provider, { value: client }, children),
    useClient,
    useActor(type, id) {
      const client = useClient();
      return useMemo(() => client[type](id), [client, type, id]);
    },
    useActorState,
    useActorError,
    useActorStateSuspense: <State, Selection>(
      handle: StateOwner<State>,
      selector?: (state: State) => Selection,
      isEqual?: Equality<Selection>,
    ) => useKnownState(useClient().connection, handle, selector, isEqual),
    useEvent,
    useCall,
    useConnectionStatus() {
      const { connection } = useClient();
      return useSyncExternalStore(connection.subscribe, () => connection.status, statusOnServer);
    },
  };
}

function statusOnServer(): ConnectionStatus {
  return 'connecting';
}
