/**
 * How late the event loop of this thread is: a timer that should fire every 20 ms, and how much later it did. It wakes the thread
 * each time, so it runs from the first question on: where nobody scrapes, idle threads sleep.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { Sample } from './meters.ts';

const resolutionMs = 20;

export class LoopDelay {
  readonly #thread: string;
  #delays: IntervalHistogram | undefined;

  constructor(thread: string) {
    this.#thread = thread;
  }

  /** Of the time since it was last asked; nothing yet at the first time. */
  sample(): Sample {
    const name = 'fermata_event_loop_delay_seconds';
    const delays = this.#delays;
    if (delays === undefined) {
      this.#delays = monitorEventLoopDelay({ resolution: resolutionMs });
      this.#delays.enable();
      return { name, values: [] };
    }
    const thread = this.#thread;
    const values = (
      [
        ['0.5', delays.percentile(50)],
        ['0.99', delays.percentile(99)],
        ['1', delays.max],
      ] as const
    ).map(([quantile, ns]) => ({ value: Math.max(0, ns / 1e9 - resolutionMs / 1000), labels: { thread, quantile } }));
    delays.reset();
    return { name, values };
  }
}
