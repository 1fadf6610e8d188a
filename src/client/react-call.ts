/**
 * The calls that one component makes of one method: how many are open, and how the last one ended.
 *
 * `error` and `result` follow the call that was made last; what an earlier one gives is told by its own promise only, so
 * that answers out of order show nothing stale. Ignoring the promise is safe: its error stands in `error`. A component
 * that goes hears nothing more, and its calls go on.
 */
import { useState, useSyncExternalStore } from 'react';
import type { FermataError } from './client.ts';

export interface CallState<Method> {
  /** Calls the method, with its input and `CallOptions`. The same function on each render. */
  readonly call: Method;
  /** True while at least one call is open. */
  readonly pending: boolean;
  /** How many are. */
  readonly pendingCount: number;
  /** Why the last call failed; undefined again when the next one is made. */
  readonly error: FermataError | undefined;
  /** What the last call that succeeded gave; it stays while the next one is open. */
  readonly result: ResultOf<Method> | undefined;
  /** Forgets error and result, also those of calls that are open now. */
  readonly reset: () => void;
}

type ResultOf<Method> = Method extends (...input: never[]) => Promise<infer Result> ? Result : never;
type AnyMethod = (...input: unknown[]) => Promise<unknown>;
type View = Pick<CallState<AnyMethod>, 'pendingCount' | 'error' | 'result'>;

/** Types erased; `FermataReact` gives them back. */
export function useCall<Method>(handle: object, method: string): CallState<Method> {
  const [held, hold] = useState(() => new CallTracker(handle, method));
  let tracker = held;
  if (held.handle !== handle || held.method !== method) {
    // Another actor's result would be shown as this one's.
    tracker = new CallTracker(handle, method);
    hold(tracker);
  }
  const view = useSyncExternalStore(tracker.subscribe, tracker.get, tracker.get);
  const { call, reset } = tracker;
  return { ...view, pending: view.pendingCount > 0, call, reset } as CallState<Method>;
}

class CallTracker {
  readonly handle: object;
  readonly method: string;
  readonly #listeners = new Set<() => void>();
  #view: View = { pendingCount: 0, error: undefined, result: undefined };
  /** The call whose end is shown: the one made last, unless it was forgotten. */
  #last: object | undefined;

  constructor(handle: object, method: string) {
    this.handle = handle;
    this.method = method;
  }

  readonly call: AnyMethod = (...input) => {
    const promise = (Reflect.get(this.handle, this.method) as AnyMethod)(...input);
    const mark = {};
    this.#last = mark;
    this.#show({ pendingCount: this.#view.pendingCount + 1, error: undefined });
    promise.then(
      (result) => this.#settle(mark, { error: undefined, result }),
      // The client rejects with nothing else.
      (error: unknown) => this.#settle(mark, { error: error as FermataError }),
    );
    return promise;
  };

  readonly reset = (): void => {
    this.#last = undefined;
    this.#show({ error: undefined, result: undefined });
  };

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  readonly get = (): View => this.#view;

  #settle(mark: object, ending: Partial<View>): void {
    const pendingCount = this.#view.pendingCount - 1;
    this.#show(mark === this.#last ? { pendingCount, ...ending } : { pendingCount });
  }

  #show(change: Partial<View>): void {
    this.#view = { ...this.#view, ...change };
    for (const listener of this.#listeners) listener();
  }
}
