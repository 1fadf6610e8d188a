/**
 * How threads are started again: one at a time, because each lays cables to the others, and after a wait that grows until
 * a thread has lived for a minute.
 */
import { type Sample, Tally } from '../host/meters.ts';

const firstWaitMs = 250;
const waitMsMax = 1500;
const steadyMs = 60_000;

export interface Lived {
  /** Monotonic. */
  readonly startedMs: number;
  /** Milliseconds that its successor waits if it dies young; 0 for a first thread. */
  readonly waitMs: number;
}

/** Milliseconds to wait before the successor of this thread is started. */
export function waitAfter({ startedMs, waitMs }: Lived): number {
  return performance.now() - startedMs > steadyMs ? 0 : waitMs;
}

/** The next wait, after one that was in vain. */
export function longerWait(waitMs: number): number {
  return Math.min(waitMsMax, Math.max(firstWaitMs, waitMs * 2));
}

export class Restarts {
  #last: Promise<unknown> = Promise.resolve();

  readonly #begun = new Tally(['gateway', 'shard']);

  /** Runs `restart` when those before it have ended, whether well or not. */
  run<T>(kind: 'gateway' | 'shard', restart: () => Promise<T>): Promise<T> {
    const result = this.#last.then(() => {
      this.#begun.add(kind);
      return restart();
    });
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** For `/metrics`. */
  sample(): Sample {
    return this.#begun.sample('fermata_thread_restarts_total', 'kind');
  }
}
