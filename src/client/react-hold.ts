/**
 * Subscriptions that no component has: not any more, or not yet. Each has an end of its own.
 *
 * `linger`: a component that goes may be back at once (StrictMode mounts twice, a route changes, a key does). Its
 * subscription stays for a moment, so that the server hears of neither and the state is there when it returns.
 *
 * `firstState`: a component that suspends is thrown away with all its hooks, and may never come back. What it waits for
 * is therefore kept here, by handle, and every attempt to render finds the same promise. It ends with the first state,
 * with the connection's end, or after `waitMsMax`, and it always resolves: React then renders whoever still waits, who
 * asks anew when there is no state yet. A tree that was thrown away does not ask, so that nothing of it stays.
 *
 * Invariant: everything in here ends by a timer of this file, at the latest.
 */
import type { ClientConnection, ConnectionStatus } from './client.ts';
import type { StateOwner } from './react-state.ts';

/** How long a subscription outlives the component that had it. */
const lingerMs = 1000;
/** How long one promise waits for a state. */
const waitMsMax = 30_000;
/** From a state's arrival to the commit that shows it: React holds fallbacks back for up to 500 ms, and renders may be slow. */
const commitMsMax = 10_000;

type Stop = () => void;

interface Lingering {
  readonly stop: Stop;
  readonly timer: ReturnType<typeof setTimeout>;
}

const lingering = new WeakMap<object, Map<string, Lingering>>();
const waits = new WeakMap<object, Promise<void>>();

/** Keeps what `subscribe` opens for `ms` from now. Once per handle and topic: a second one takes the first one's place. */
export function linger(handle: object, topic: string, subscribe: () => Stop, ms = lingerMs): void {
  const topics = lingering.get(handle) ?? new Map<string, Lingering>();
  lingering.set(handle, topics);
  const known = topics.get(topic);
  clearTimeout(known?.timer);
  const stop = known?.stop ?? subscribe();
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
  const end = (): void => {
    waits.delete(handle);
    clearTimeout(timer);
    linger(handle, 'first state', () => handle.state.subscribe(() => {}), commitMsMax);
    stopStatus();
    stopState();
    resolve();
  };
  const timer = setTimeout(end, waitMsMax);
  const stopStatus = connection.subscribe((status) => {
    if (isOver(status)) end();
  });
  // Last: whoever asks saw no state, so that the listener is not called before all of the above is there.
  const stopState = handle.state.subscribe(end);
  return promise;
}

/** No connection will come any more. */
export function isOver(status: ConnectionStatus): boolean {
  return status === 'closed' || status === 'unauthorized';
}
