/**
 * One bar on a terminal that is drawn again in its place, at most ten times a second, and taken away at the end.
 */
const barCells = 30;
const redrawMs = 100;
const columnsUsual = 80;

/** Where a bar can be drawn: a terminal. */
export interface Screen {
  write(text: string): unknown;
  readonly columns?: number;
}

export class Bar {
  readonly #screen: Screen | undefined;
  #nextMs = 0;
  #drawn = false;

  /** Without a screen it draws nothing. */
  constructor(screen: Screen | undefined) {
    this.#screen = screen;
  }

  /** `sentence` stands behind the bar; what is too long for one line is cut. */
  draw(verb: string, done: number, total: number, sentence: string): void {
    const nowMs = performance.now();
    if (this.#screen === undefined || nowMs < this.#nextMs) return;
    this.#nextMs = nowMs + redrawMs;
    this.#drawn = true;
    this.#screen.write(barLine(verb, done, total, sentence, this.#screen.columns));
  }

  /** Takes the bar away. */
  end(): void {
    if (this.#drawn) this.#screen?.write(barGone);
    this.#drawn = false;
    this.#nextMs = 0;
  }
}

/** The cursor waits at the start of the line, so that a line of another thread writes over the bar. */
export function barLine(
  verb: string,
  done: number,
  total: number,
  sentence: string,
  columns: number = columnsUsual,
): string {
  const filled = Math.floor(shareOf(done, total) * barCells);
  const bar = `${'█'.repeat(filled)}${'░'.repeat(barCells - filled)}`;
  const line = `  ${verb} [${bar}] ${Math.floor(shareOf(done, total) * 100)} %, ${sentence}`;
  // A line that wraps would leave its first half behind when it is drawn again.
  return `\u001b[K${line.slice(0, Math.max(1, columns - 1))}\r`;
}

export const barGone = '\u001b[K';

/** What was counted beforehand may grow meanwhile. */
function shareOf(done: number, total: number): number {
  return total === 0 ? 1 : Math.min(1, done / total);
}
