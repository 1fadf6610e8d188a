/**
 * Keeps a flood out of the log. Lines that a client or an author's code can cause again and again are of a kind, and of each
 * kind so many are written per 10 s; one line at the end says how many were left out.
 *
 * Kinds are words of the program's own and names that the app declares, never what a client sent. Past `kindsMax` of them
 * the rest share one, so that memory is bounded too. What is left out is gone: nothing waits here.
 */
import type { Logger } from './log.ts';

/** Lines of one kind in one window. */
const linesMax = 20;
const windowMs = 10_000;
const kindsMax = 256;

interface Window {
  endMs: number;
  lines: number;
  leftOut: number;
  /** Writes the summary when no later line does. */
  timer: NodeJS.Timeout | undefined;
}

export class LogGate {
  readonly #log: Logger;
  readonly #monotonic: () => number;
  readonly #windows = new Map<string, Window>();

  constructor(log: Logger, monotonic: () => number) {
    this.#log = log;
    this.#monotonic = monotonic;
  }

  write(kind: string, level: 'error' | 'warn' | 'info', fields: object, message: string): void {
    if (!this.#log.isLevelEnabled(level)) return;
    const key = this.#windows.has(kind) || this.#windows.size < kindsMax ? kind : 'others';
    const window = this.#windowOf(key);
    if (window.lines < linesMax) {
      window.lines += 1;
      this.#log[level](fields, message);
      return;
    }
    window.leftOut += 1;
    window.timer ??= setTimeout(() => this.#end(key, window), window.endMs - this.#monotonic()).unref();
  }

  /** Says at once what was left out. */
  close(): void {
    for (const [kind, window] of this.#windows) this.#end(kind, window);
    this.#windows.clear();
  }

  #windowOf(kind: string): Window {
    const nowMs = this.#monotonic();
    let window = this.#windows.get(kind);
    if (window === undefined) {
      window = { endMs: nowMs + windowMs, lines: 0, leftOut: 0, timer: undefined };
      this.#windows.set(kind, window);
    } else if (nowMs >= window.endMs) {
      this.#end(kind, window);
      window.endMs = nowMs + windowMs;
    }
    return window;
  }

  #end(kind: string, window: Window): void {
    clearTimeout(window.timer);
    window.timer = undefined;
    if (window.leftOut > 0)
      this.#log.warn({ kind, leftOut: window.leftOut }, 'lines of this kind were left out of the log');
    window.lines = 0;
    window.leftOut = 0;
  }
}
