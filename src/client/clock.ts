/** Time and randomness of the client, from one place, so that a test can own both. */

/** Gives up what was asked for; harmless when it is over. */
export type Cancel = () => void;

export interface Clock {
  /** Monotonic milliseconds. */
  now(): number;
  /** Milliseconds since 1970, for what others wrote down as a date: the expiry of a token. */
  wallMs(): number;
  /** 0 ≤ x < 1. */
  random(): number;
  after(delayMs: number, run: () => void): Cancel;
}

/** Timers hold a signed 32-bit number of milliseconds; anything longer would fire at once. */
const delayMsMax = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now(),
  wallMs: () => Date.now(),
  random: () => Math.random(),
  after(delayMs, run) {
    if (delayMs > delayMsMax) return () => {};
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};
