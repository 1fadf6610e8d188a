/**
 * What a run counts, and the window in which it counts: calls, errors, latencies; the processor time of this process and
 * of the server's threads. What happens before and after the window leaves no trace but errors, which always count.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { Histogram } from './histogram.ts';
import { type ThreadTime, threadTimes } from './thread-times.ts';

export interface Window {
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface ThreadUse {
  readonly name: string;
  /** Of one core, 0 to 1. */
  readonly share: number;
}

export interface Measured {
  readonly windowMs: number;
  /** Monotonic microseconds, the clock of processor profiles. */
  readonly fromUs: number;
  readonly toUs: number;
  readonly calls: number;
  readonly perSecond: number;
  readonly errors: number;
  readonly firstError: string | undefined;
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Share of one core that the generator used, and what a call cost it. */
  readonly generator: { readonly share: number; readonly usPerCall: number };
  readonly server: { readonly share: number; readonly threads: readonly ThreadUse[] };
}

export class Tally {
  readonly #histogram = new Histogram();
  #open = false;
  #calls = 0;
  #errors = 0;
  #firstError: string | undefined;
  #break!: (error: Error) => void;
  readonly #broken = new Promise<never>((_, reject) => {
    this.#break = reject;
  });

  constructor() {
    // Whoever measures hears of it; nobody else has to.
    this.#broken.catch(() => undefined);
  }

  call(latencyMs: number): void {
    if (!this.#open) return;
    this.#calls += 1;
    this.#histogram.record(latencyMs);
  }

  /** A reply or frame that says so; the first one is kept. */
  error(bytes: Buffer, start: number, end: number): void {
    this.fault(bytes.toString('utf8', start, end));
  }

  fault(text: string): void {
    this.#errors += 1;
    this.#firstError ??= text;
  }

  /** A connection was lost: what is left of the run means nothing. */
  break(reason: string): void {
    this.#break(new Error(reason));
  }

  /**
   * Waits for the warm-up, then counts for the length of the window. `afterwards`: what must end before errors are final.
   * @throws Error when a connection was lost
   */
  measure(window: Window, serverPid: number, afterwards: () => Promise<void>): Promise<Measured> {
    return Promise.race([this.#broken, this.#measure(window, serverPid, afterwards)]);
  }

  async #measure(
    { warmUpMs, measureMs }: Window,
    serverPid: number,
    afterwards: () => Promise<void>,
  ): Promise<Measured> {
    await pause(warmUpMs);
    const threadsBefore = threadTimes(serverPid);
    const cpuBefore = process.cpuUsage();
    const fromUs = monotonicUs();
    this.#open = true;
    await pause(measureMs);
    this.#open = false;
    const toUs = monotonicUs();
    const cpu = process.cpuUsage(cpuBefore);
    const threads = threadUse(threadsBefore, threadTimes(serverPid), (toUs - fromUs) / 1000);
    const windowMs = (toUs - fromUs) / 1000;
    const cpuMs = (cpu.user + cpu.system) / 1000;
    await afterwards();
    return {
      windowMs,
      fromUs,
      toUs,
      calls: this.#calls,
      perSecond: (this.#calls / windowMs) * 1000,
      errors: this.#errors,
      firstError: this.#firstError,
      latencyMs: this.#histogram.summary(),
      generator: { share: cpuMs / windowMs, usPerCall: (cpuMs * 1000) / Math.max(1, this.#calls) },
      server: { share: threads.reduce((sum, thread) => sum + thread.share, 0), threads },
    };
  }
}

function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

/** Busiest first; idle threads are left out. */
export function threadUse(before: readonly ThreadTime[], after: readonly ThreadTime[], windowMs: number): ThreadUse[] {
  return after
    .map(({ tid, name, cpuMs }) => {
      const earlier = before.find((thread) => thread.tid === tid)?.cpuMs ?? 0;
      return { name, share: (cpuMs - earlier) / windowMs };
    })
    .filter(({ share }) => share >= 0.005)
    .sort((a, b) => b.share - a.share);
}
