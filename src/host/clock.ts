/**
 * The one source of time, randomness and ids. Rooms take it as an argument, so that a test can own all three.
 */
import { randomBytes } from 'node:crypto';

export interface Clock {
  /** Wall clock, milliseconds since the epoch. For records and display. */
  now(): number;
  /** Monotonic milliseconds. For durations and deadlines: the wall clock may jump. */
  monotonic(): number;
  /** 0 ≤ x < 1. Not for secrets. */
  random(): number;
  /** 16 unguessable letters and digits (about 95 bits). */
  id(): string;
}

const alphabet = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_';

/** Captured once: each look at the global runs a getter. */
const timer = performance;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => timer.now(),
  random: () => Math.random(),
  id: () => {
    let id = '';
    for (const byte of randomBytes(16)) id += alphabet[byte & 63];
    return id;
  },
};
