/** How late the event loop of this thread is: a timer that should fire every 20 ms, and how much later it did. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Sample } from './meters.ts';

const resolutionMs = 20;

export class LoopDelay {
  readonly #thread: string;
  readonly #delays = monitorEventLoopDelay({ resolution: resolutionMs });

  constructor(thread: string) {
    this.#thread = thread;
    this.#delays.enable();
  }

  /** Of the time since it was last asked. */
  sample(): Sample {
    const delays = this.#delays;
    const { thread } = { thread: this.#thread };
    const values = (
      [
        ['0.5', delays.percentile(50)],
        ['0.99', delays.percentile(99)],
        ['1', delays.max],
      ] as const
    ).map(([quantile, ns]) => ({ value: Math.max(0, ns / 1e9 - resolutionMs / 1000), labels: { thread, quantile } }));
    delays.reset();
    return { name: 'fermata_event_loop_delay_seconds', values };
  }
}
