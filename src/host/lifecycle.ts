/**
 * A process is an ordered list of steps: started from top to bottom, stopped from bottom to top.
 *
 * Each stop has its own share of time; one that overruns is logged and left behind, so that the later ones, which write
 * what matters, still get theirs. What each one took is kept for the last line of the log. Stop is idempotent and joins a stop under way; asked during start, it undoes what had
 * started.
 */
import type { Logger } from './log.ts';

export interface Step {
  readonly name: string;
  readonly start?: () => void | Promise<void>;
  readonly stop?: () => void | Promise<void>;
  /** Milliseconds that `stop` may take. */
  readonly stopMs?: number;
}

export class Lifecycle {
  readonly #steps: readonly Step[];
  readonly #log: Logger;
  #started: Step[] = [];
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #clean = true;
  readonly #stopsMs: Record<string, number> = {};

  constructor(steps: readonly Step[], log: Logger) {
    this.#steps = steps;
    this.#log = log;
  }

  /** True from the first word of a stop. */
  get stopping(): boolean {
    return this.#stopping !== undefined;
  }

  /** False when a stop failed or was left behind. */
  get clean(): boolean {
    return this.#clean;
  }

  /** Milliseconds that each step's stop took, in the order of the stop; of one that was left behind, until then. */
  get stopsMs(): Readonly<Record<string, number>> {
    return this.#stopsMs;
  }

  /** @throws what a step's start threw, after everything before it was stopped again */
  start(): Promise<void> {
    this.#starting ??= this.#startAll();
    return this.#starting;
  }

  /** Never throws: a step that cannot stop is logged. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  async #startAll(): Promise<void> {
    for (const step of this.#steps) {
      if (this.#stopping !== undefined) return;
      // Counted before it has started: what fails half-way must be stopped as well.
      this.#started.push(step);
      const began = performance.now();
      try {
        await step.start?.();
      } catch (error) {
        await this.stop();
        throw error;
      }
      this.#log.debug({ step: step.name, ms: Math.round(performance.now() - began) }, 'started');
    }
  }

  async #stopAll(): Promise<void> {
    for (let step = this.#started.pop(); step !== undefined; step = this.#started.pop()) await this.#stopOne(step);
  }

  async #stopOne(step: Step): Promise<void> {
    if (step.stop === undefined) return;
    const began = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const overrun = new Promise<'overrun'>((resolve) => {
      timer = setTimeout(() => resolve('overrun'), step.stopMs ?? 1000);
    });
    try {
      const ended = await Promise.race([Promise.resolve(step.stop()), overrun]);
      const fields = { step: step.name, ms: Math.round(performance.now() - began) };
      if (ended === 'overrun') {
        this.#clean = false;
        this.#log.warn(fields, 'stop took longer than its share of the time; going on without it');
      } else this.#log.debug(fields, 'step stopped');
    } catch (error) {
      this.#clean = false;
      this.#log.error({ step: step.name, err: error }, 'stop failed; going on without it');
    } finally {
      this.#stopsMs[step.name] = Math.round(performance.now() - began);
      clearTimeout(timer);
    }
  }
}
