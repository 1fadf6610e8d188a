/**
 * Notices that the process itself stood still: stopped by a signal, or with its event loop blocked. Timers run before the
 * sockets are read then, so that everybody else seems silent, though what they said waits in the socket. For a moment after
 * that nothing is to be concluded from silence.
 */
import { beatMs } from './nats-bounds.ts';

export class NatsStandstill {
  readonly #monotonic: () => number;
  readonly #onOver: () => void;
  #lastMs: number;
  #awokenMs = Number.NEGATIVE_INFINITY;

  /** `onOver`: all silence until now was our own. */
  constructor(monotonic: () => number, onOver: () => void) {
    this.#monotonic = monotonic;
    this.#onOver = onOver;
    this.#lastMs = monotonic();
  }

  /** To be asked at least once per beat. True just after a standstill. */
  justOver(): boolean {
    const nowMs = this.#monotonic();
    if (nowMs - this.#lastMs > standstillMs) {
      this.#awokenMs = nowMs;
      this.#onOver();
    }
    this.#lastMs = nowMs;
    return nowMs - this.#awokenMs < catchUpMs;
  }
}

const standstillMs = beatMs * 3;
const catchUpMs = beatMs / 2;
