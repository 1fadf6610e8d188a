/** A client's clock that runs faster than the day, with chance that can be had again. */
import type { Clock } from '../../../src/client/clock.ts';

/** Timers hold a signed 32-bit number of milliseconds. */
const delayMsMax = 2 ** 31 - 1;

export function fastClock(speed: number, random: () => number): Clock {
  return {
    now: () => performance.now() * speed,
    wallMs: () => Date.now(),
    random,
    after: (delayMs, run) => {
      const timer = setTimeout(run, Math.min(delayMs / speed, delayMsMax));
      return () => clearTimeout(timer);
    },
  };
}
