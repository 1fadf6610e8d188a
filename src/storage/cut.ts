/**
 * A cut through the rows of all shards at one moment: what was committed later waits in its port until the cut ends.
 *
 * Shards hand rows over on ports of their own, so that a row may come here before one of another shard that it rests on. A
 * copy that ended there would hold an effect without its cause. Times of commits are of one clock: with every row up to a
 * moment and none beyond it, a copy holds whatever its content rests on.
 */
export interface BegunCut {
  readonly atMs: number;
  readonly end: () => void;
}

export class Cut {
  #now: { readonly atMs: number; readonly over: Promise<void> } | undefined;
  /** Settles when those that were asked for are over. */
  #last: Promise<void> = Promise.resolve();

  /** Waits for those before it. From then on rows later than `now()` are left out, until it is ended. */
  async begin(now: () => number): Promise<BegunCut> {
    const before = this.#last;
    let settle = (): void => undefined;
    const over = new Promise<void>((resolve) => {
      settle = resolve;
    });
    this.#last = before.then(() => over);
    await before;
    const atMs = now();
    this.#now = { atMs, over };
    return {
      atMs,
      end: () => {
        this.#now = undefined;
        settle();
      },
    };
  }

  /** Must a row of this time wait, and until when? Rows of a former version have no time. */
  leavesOut(atMs = -Infinity): Promise<void> | undefined {
    return this.#now !== undefined && atMs > this.#now.atMs ? this.#now.over : undefined;
  }
}
