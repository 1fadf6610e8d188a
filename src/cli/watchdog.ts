/**
 * The watchdog: a thread without a pulse for `silentMsMax` is terminated; one that is still there as long again, because
 * native code cannot be interrupted, takes the process with it (exit 70), and the supervisor above us starts it anew.
 *
 * Silence is counted in the watchdog's own ticks, not by the clock: when the whole process was stopped or the machine
 * slept, no thread is to blame.
 */
import type { Logger } from '../host/log.ts';
import type { Thread } from '../host/thread.ts';
import type { Vitals } from '../host/vitals.ts';

const tickMs = 500;
/** Ten ticks of silence end the thread, ten more the process. */
const silentTicksMax = 10;

export interface Watched {
  readonly thread: Thread;
  readonly vitals: Vitals;
}

export class Watchdog {
  readonly #log: Logger;
  readonly #onStuck: () => void;
  readonly #watched = new Map<Watched, { beats: number; silentTicks: number }>();
  readonly #timer: NodeJS.Timeout;

  /** `onStuck`: a thread could not be terminated. */
  constructor(log: Logger, onStuck: () => void) {
    this.#log = log;
    this.#onStuck = onStuck;
    this.#timer = setInterval(() => this.#tick(), tickMs);
    this.#timer.unref();
  }

  watch(watched: Watched): void {
    this.#watched.set(watched, { beats: watched.vitals.beats, silentTicks: 0 });
    void watched.thread.died.then(() => this.#watched.delete(watched));
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    for (const [{ thread, vitals }, seen] of this.#watched) {
      const { beats } = vitals;
      seen.silentTicks = beats === seen.beats ? seen.silentTicks + 1 : 0;
      seen.beats = beats;
      if (seen.silentTicks === silentTicksMax) {
        this.#log.error({ about: thread.name }, 'no sign of life for 5 s; the thread is terminated');
        void thread.terminate();
      } else if (seen.silentTicks === silentTicksMax * 2) {
        this.#log.fatal({ about: thread.name }, 'a thread cannot be terminated; the process exits');
        this.#onStuck();
      }
    }
  }
}
