/**
 * Subscriptions that no component has: not any more, or not yet. Each has an end of its own.
 *
 * `linger`: a component that goes may be back at once (StrictMode mounts twice, a route changes, a key does). Its
 * subscription stays for a moment, so that the server hears of neither and the state is there when it returns.
 *
 * `firstState`: a component that suspends is thrown away with all its hooks, and may never come back. What it waits for
 * is therefore kept here, by handle, and every attempt to render finds the same promise. It ends with the first state,
 * with a refusal, with the connection's end, or after `waitMsMax`, and it always resolves: React then renders whoever
 * still waits, who asks anew when there is no state yet. A tree that was thrown away does not ask, so that nothing of it stays.
 *
 * `freshRefusal`: what a render throws instead of waiting. React renders once more before it shows a boundary, and nothing
 * tells that render from one after the boundary was reset, which has to ask the server again; nothing but time. A refusal is
 * therefore thrown for a moment only. Where rendering takes longer than that, the server is asked once too often and the
 * next moment is longer, so that it comes to rest, and so does a boundary that resets by itself.
 *
 * Invariant: everything in here ends by a timer of this file, at the latest.
 */
import type { ClientConnection, ConnectionStatus, FermataError } from './client.ts';
import type { StateOwner } from './react-state.ts';

/** How long a subscription outlives the component that had it. */
const lingerMs = 1000;
/** How long one promise waits for a state. */
const waitMsMax = 30_000;
/** From a state's arrival to the commit that shows it: React holds fallbacks back for up to 500 ms, and renders may be slow. */
const commitMsMax = 10_000;
/** How long a refusal is thrown, from the first time on. Twice as long for each that follows it. */
const throwMsMin = 100;
const throwMsMax = 1000;

type Stop = () => void;

interface Lingering {
  readonly stop: Stop;
  readonly timer: ReturnType<typeof setTimeout>;
}

interface Refusal {
  readonly throwMs: number;
  /** Undefined once it was thrown for long enough. */
  readonly error: FermataError | undefined;
  thrown: boolean;
  timer: ReturnType<typeof setTimeout> | undefined;
}

const lingering = new WeakMap<object, Map<string, Lingering>>();
const waits = new WeakMap<object, Promise<void>>();
const refusals = new WeakMap<object, Refusal>();

/** Keeps what `subscribe` opens for `ms` from now. Once per handle and topic: a second one takes the first one's place. */
export function linger(handle: object, topic: string, subscribe: () => Stop, ms = lingerMs): void {
  const topics = lingering.get(handle) ?? new Map<string, Lingering>();
  lingering.set(handle, topics);
  const known = topics.get(topic);
  clearTimeout(known?.timer);
  // Always a new one, before the old one ends: `dispose` may have ended that long ago.
  const stop = subscribe();
  known?.stop();
  const end = (): void => {
    topics.delete(topic);
    stop();
  };
  topics.set(topic, { stop, timer: setTimeout(end, ms) });
}

/** Settles when it is worth rendering again: there is a state, or none will come, or it is time to ask again. */
export function firstState(connection: ClientConnection, handle: StateOwner<unknown>): Promise<void> {
  const known = waits.get(handle);
  if (known !== undefined) return known;
  const { promise, resolve } = Promise.withResolvers<void>();
  waits.set(handle, promise);
  let over = false;
  let stopState: Stop = () => {};
  const end = (): void => {
    over = true;
    waits.delete(handle);
    clearTimeout(timer);
    stopStatus();
    stopState();
    resolve();
  };
  const endLater = (): void => {
    linger(handle, 'first state', () => handle.state.subscribe(() => {}), commitMsMax);
    end();
  };
  const timer = setTimeout(endLater, waitMsMax);
  const stopStatus = connection.subscribe((status) => {
    if (isOver(status)) end();
  });
  const onState = (): void => {
    if (over) return;
    forget(handle);
    endLater();
  };
  const onError = (error: FermataError | undefined): void => {
    if (over || error === undefined) return;
    refuse(handle, error);
    end();
  };
  // Not while rendering: to subscribe may be to ask anew, which changes what other components show.
  queueMicrotask(() => {
    if (over) return;
    stopState = handle.state.subscribe(onState, { onError });
    // The state was there meanwhile.
    if (over) stopState();
  });
  return promise;
}

/** Why no state came, as long as that is to be thrown; undefined when it is time to wait for an answer. */
export function freshRefusal(handle: object): FermataError | undefined {
  const refusal = refusals.get(handle);
  if (refusal?.error === undefined) return undefined;
  if (!refusal.thrown) {
    refusal.thrown = true;
    expire(handle, refusal, refusal.throwMs);
  }
  return refusal.error;
}

function refuse(handle: object, error: FermataError): void {
  const throwMs = Math.min(2 * (refusals.get(handle)?.throwMs ?? throwMsMin / 2), throwMsMax);
  forget(handle);
  const refusal: Refusal = { throwMs, error, thrown: false, timer: undefined };
  refusals.set(handle, refusal);
  expire(handle, refusal, commitMsMax);
}

function expire(handle: object, refusal: Refusal, ms: number): void {
  clearTimeout(refusal.timer);
  // Holds the handle for as long: whoever suspends may be the only one that had it.
  refusal.timer = setTimeout(() => refusals.set(handle, { ...refusal, error: undefined }), ms);
}

function forget(handle: object): void {
  clearTimeout(refusals.get(handle)?.timer);
  refusals.delete(handle);
}

/** No connection will come any more. */
export function isOver(status: ConnectionStatus): boolean {
  return status === 'closed' || status === 'unauthorized';
}
