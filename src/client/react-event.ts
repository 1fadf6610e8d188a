/**
 * An actor's events in components. The subscription depends on the handle and the event's name alone; the listener is
 * looked up when an event comes, so that a new one on each render costs nothing and sees the latest props and state.
 */
import { useEffect, useInsertionEffect, useRef } from 'react';
import type { Actor, EventsOf } from '../actor/infer.ts';
import type { Handle } from './client.ts';
import type { EventOptions } from './event-feed.ts';
import { linger } from './react-hold.ts';

export function useEvent<AnyActor extends Actor, Name extends keyof EventsOf<AnyActor> & string>(
  handle: Handle<AnyActor>,
  event: Name,
  listener: (payload: EventsOf<AnyActor>[Name]) => void,
  options: EventOptions = {},
): void {
  const { onGap } = options;
  const latest = useRef({ listener, onGap });
  // Before any other effect, so that an event told meanwhile finds the listener of what is on screen.
  useInsertionEffect(() => {
    latest.current = { listener, onGap };
  }, [listener, onGap]);
  // Gaps of which nobody here wants to hear are reported to the client's `onError`.
  const hearsGaps = onGap !== undefined;
  useEffect(() => {
    const gaps = hearsGaps ? { onGap: () => latest.current.onGap?.() } : {};
    const stop = handle.on(event, (payload) => latest.current.listener(payload), gaps);
    return () => {
      linger(handle, `event ${event}`, () => handle.on(event, nobody, { onGap: nobody }));
      stop();
    };
  }, [handle, event, hearsGaps]);
}

function nobody(): void {}
