/**
 * The last items of one stream of an actor, patches or events, by number: what a subscriber that comes back is sent.
 *
 * It begins at the position at which the actor came into memory (or at which recording began), and is bounded by items
 * and characters; what was before may lie with the keeper. Items are added when their turn ends, before its commit; that is
 * safe because whoever is sent one waits for that commit too.
 */
import type { HistoryItem } from '../storage/contract.ts';

export interface HistoryBounds {
  readonly itemsMax: number;
  readonly charsMax: number;
}

export class History {
  readonly #bounds: HistoryBounds;
  #items: HistoryItem[] = [];
  #chars = 0;
  /** Number of the newest item, or the position at which the recording began. */
  #last = 0;
  #complete = false;

  constructor(bounds: HistoryBounds) {
    this.#bounds = bounds;
  }

  get chars(): number {
    return this.#chars;
  }

  /** The position before the oldest item. */
  get start(): number {
    return this.#last - this.#items.length;
  }

  /** Older items are kept nowhere: some were let go of here, or the keeper was asked, which has the same bounds. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Forgets everything; the next item is numbered `seq + 1`. */
  begin(seq: number): void {
    if (this.#items.length > 0) this.#items = [];
    this.#chars = 0;
    this.#last = seq;
    this.#complete = false;
  }

  /** Puts what the keeper has before what is here; undefined when that does not join. */
  learn(stored: readonly HistoryItem[] | undefined): void {
    this.#complete = true;
    const older = stored?.filter(({ seq }) => seq <= this.start) ?? [];
    if (older.at(-1)?.seq !== this.start) return;
    this.#items = [...older, ...this.#items];
    for (const { text } of older) this.#chars += text.length;
  }

  /** Items are numbered without a gap. */
  add(item: HistoryItem): void {
    if (item.seq !== this.#last + 1) this.begin(item.seq - 1);
    this.#items.push(item);
    this.#last = item.seq;
    this.#chars += item.text.length;
    const { itemsMax, charsMax } = this.#bounds;
    // In lumps: taking one item off the front of an array costs as much as taking many.
    if (this.#items.length > itemsMax * 1.25 || this.#chars > charsMax * 1.25) this.#trim(itemsMax, charsMax);
  }

  /** What came after `since`, oldest first; undefined when that is not all here. */
  after(since: number): readonly HistoryItem[] | undefined {
    if (since < this.start || since > this.#last) return undefined;
    return this.#items.slice(since - this.start);
  }

  /** All that is here. */
  all(): readonly HistoryItem[] {
    return this.#items;
  }

  #trim(itemsMax: number, charsMax: number): void {
    let from = Math.max(0, this.#items.length - itemsMax);
    for (let at = 0; at < from; at += 1) this.#chars -= this.#items[at]!.text.length;
    for (; this.#chars > charsMax && from < this.#items.length; from += 1)
      this.#chars -= this.#items[from]!.text.length;
    this.#items = this.#items.slice(from);
    this.#complete = true;
  }
}
