/**
 * An actor's state in components. The client's store is what is read: React compares what was selected before and after,
 * and renders only when that differs.
 *
 * A selector is new on each render when it is written inline. So that it neither renders for ever nor subscribes again,
 * the subscription depends on the handle alone, a selection is kept per state, and one that equals the selection on
 * screen gives way to it: what a component has is then the same object until it differs.
 */
import { useCallback, useEffect, useMemo, useRef, useSyncExternalStore } from 'react';
import type { ClientConnection, FermataError, StateHandle, StateOptions } from './client.ts';
import { firstState, freshRefusal, isOver, linger } from './react-hold.ts';

/** What the hooks need of a handle. */
export interface StateOwner<State> {
  readonly state: StateHandle<State>;
}

/** There is no state yet. Not undefined, which a selector may well give. */
const unknown = Symbol('unknown');

export function useActorState<State, Selection>(
  handle: StateOwner<State>,
  selector?: (state: State) => Selection,
  isEqual?: (a: Selection, b: Selection) => boolean,
): Selection | undefined {
  const selection = useSelection(handle, unknownOnServer, selector, isEqual);
  return selection === unknown ? undefined : selection;
}

/** Why the server refused the state for good; undefined while it has not. */
export function useActorError(handle: StateOwner<unknown>): FermataError | undefined {
  const subscribe = useCallback((onError: () => void) => watch(handle, 'error', nobody, { onError }), [handle]);
  return useSyncExternalStore(subscribe, () => handle.state.error, nobody);
}

/** Suspends until there is a state, and throws when the server refuses it. */
export function useKnownState<State, Selection>(
  connection: ClientConnection,
  handle: StateOwner<State>,
  selector?: (state: State) => Selection,
  isEqual?: (a: Selection, b: Selection) => boolean,
): Selection {
  const selection = useSelection(handle, refuseOnServer, selector, isEqual);
  if (selection !== unknown) return selection;
  if (isOver(connection.status)) throw connection.error ?? new Error(`the client is ${connection.status}`);
  const refusal = freshRefusal(handle);
  if (refusal !== undefined) throw refusal;
  // What React takes for "not yet", in 18 and 19 alike.
  // oxlint-disable-next-line typescript/only-throw-error
  throw firstState(connection, handle);
}

function useSelection<State, Selection>(
  handle: StateOwner<State>,
  onServer: () => typeof unknown,
  selector: (state: State) => Selection = whole,
  isEqual: (a: Selection, b: Selection) => boolean = Object.is,
): Selection | typeof unknown {
  /** What is on screen, and of whom: an equality may compare less than what tells two actors apart. */
  const shown = useRef<{ readonly handle: object; readonly selection: Selection } | undefined>(undefined);

  const subscribe = useCallback((onChange: () => void) => watch(handle, 'state', onChange), [handle]);

  const select = useMemo(() => {
    let last: { readonly state: State; readonly selection: Selection } | undefined;
    return (): Selection | typeof unknown => {
      const state = handle.state.get();
      if (state === undefined) return unknown;
      if (last !== undefined && last.state === state) return last.selection;
      const fresh = selector(state);
      const prior = last ?? (shown.current?.handle === handle ? shown.current : undefined);
      const selection = prior !== undefined && isEqual(prior.selection, fresh) ? prior.selection : fresh;
      last = { state, selection };
      return selection;
    };
  }, [handle, selector, isEqual]);

  const selection = useSyncExternalStore(subscribe, select, onServer);
  useEffect(() => {
    shown.current = selection === unknown ? undefined : { handle, selection };
  }, [handle, selection]);
  return selection;
}

/** Returns a function that ends it, a moment later for the server. */
function watch<State>(
  handle: StateOwner<State>,
  topic: string,
  listener: () => void,
  options: StateOptions = {},
): () => void {
  const stop = handle.state.subscribe(listener, options);
  const lingerOptions = options.onError === undefined ? {} : { onError: nobody };
  return () => {
    // Nothing comes of a refused one, and to subscribe would be to ask again.
    if (handle.state.error === undefined) linger(handle, topic, () => handle.state.subscribe(nobody, lingerOptions));
    stop();
  };
}

function nobody(): undefined {}

/** Where no selector was given the selection is the state: see the overloads in react.ts. */
function whole(state: unknown): never {
  return state as never;
}

function unknownOnServer(): typeof unknown {
  return unknown;
}

function refuseOnServer(): never {
  // React then sends the boundary's fallback, and the browser renders what is below it.
  throw new Error('useActorStateSuspense has no state on a server: the nearest <Suspense> shows its fallback');
}
