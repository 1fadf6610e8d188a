/**
 * What an operator sees of a journal replay that takes longer than a second: a line in the log each second, or, where a
 * person reads the terminal, one bar that is drawn again in its place. A short replay says nothing but its end.
 */
import type { Logger } from '../host/log.ts';
import type { Progress } from '../host/progress.ts';
import { barGone, barLine, type Screen } from './bar.ts';
import { grouped } from './readable.ts';

const pollMs = 500;
const quietMs = 1000;

/** Starts reporting. @returns ends it */
export function reportRecovery(progress: Progress, log: Logger, screen: Screen | undefined): () => void {
  const report = new RecoveryReport(progress, log, screen);
  const beganMs = performance.now();
  const timer = setInterval(() => report.look(performance.now() - beganMs), pollMs);
  return () => {
    clearInterval(timer);
    report.end();
  };
}

export class RecoveryReport {
  readonly #progress: Progress;
  readonly #log: Logger;
  readonly #screen: Screen | undefined;
  #nextMs = quietMs;
  #drawn = false;

  constructor(progress: Progress, log: Logger, screen: Screen | undefined) {
    this.#progress = progress;
    this.#log = log;
    this.#screen = screen;
  }

  look(elapsedMs: number): void {
    const { total } = this.#progress;
    // A journal that could not be counted beforehand may still be read.
    const done = Math.min(this.#progress.done, total);
    if (total === 0 || elapsedMs < this.#nextMs) return;
    if (this.#screen === undefined) {
      // Timers are late by a little: the next whole second counts, so that two polls never make two lines of one.
      this.#nextMs = (Math.floor(elapsedMs / quietMs) + 1) * quietMs;
      this.#log.info(
        { rows: done, rowsTotal: total },
        `journal replay: ${percent(done, total)} %, ${sentence(done, total)}`,
      );
    } else {
      this.#screen.write(barLine('replaying', done, total, sentence(done, total), this.#screen.columns));
      this.#drawn = true;
    }
  }

  /** Takes the bar away. */
  end(): void {
    if (this.#drawn) this.#screen?.write(barGone);
    this.#drawn = false;
  }
}

function percent(done: number, total: number): number {
  return Math.floor((done / total) * 100);
}

function sentence(done: number, total: number): string {
  return `${grouped(done)} of ${grouped(total)} rows`;
}
