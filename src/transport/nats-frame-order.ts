/**
 * Frames of one gateway for one slot, put in the order in which they were sent, each once.
 *
 *   arrive ──▶ waiting (gateway not presented) ──▶ held (one before it is missing) ──▶ ready ──▶ finished
 *
 * Within a link frames are numbered without a gap. The first one that is seen sets the base; one below it comes late, because a
 * former owner may have run those between. One that is missing is waited for; does it not come, the link is broken: its
 * gateway hears of it, ends what waits as unknown and begins the next link, so that nothing waits for ever and nothing runs
 * out of order. After a former owner, whose frames were done in any order, those are not waited for that it must have done. A
 * link counts once its gateway has presented itself with it; what comes of older ones is dropped.
 */
import { gapMs, unpresentedMs } from './nats-bounds.ts';

export interface Numbered {
  readonly link: number;
  readonly seq: number;
  /** A former owner had it. */
  readonly inherited: boolean;
  /** Published again: those before it may still come. */
  readonly resent: boolean;
}

export interface OrderEvents<T> {
  /** It is its turn. */
  readonly ready: (frame: T) => void;
  /** Nobody knows whether those around it ran: it must not. */
  readonly late: (frame: T) => void;
  /** It was done before, or its calls have ended already: to be acknowledged, and forgotten. */
  readonly dropped: (frame: T) => void;
  /** A copy of one that is still in hand. */
  readonly again: (known: T, copy: T) => void;
  /** The gateway must hear that this link is broken. */
  readonly broken: (link: number) => void;
}

export class FrameOrder<T extends Numbered> {
  readonly #events: OrderEvents<T>;
  readonly #monotonic: () => number;
  /** Everything that came and is not finished, by link and seq. */
  readonly #open = new Map<string, T>();
  /** Since when, of those whose gateway has not presented itself with their link. */
  readonly #waiting = new Map<T, number>();
  readonly #held = new Map<number, T>();
  #heldSinceMs = 0;
  /** The link of the last presence; 0 before the first one. */
  #link = 0;
  #present = false;
  #broken = 0;
  /** The first seq of the link that was seen; 0 before. */
  #base = 0;
  #next = 0;
  /** Everything so far was a former owner's. */
  #inheriting = false;
  /** First and last of those that a former owner has done, by all appearances. */
  readonly #skipped: (readonly [first: number, last: number])[] = [];

  constructor(events: OrderEvents<T>, monotonic: () => number) {
    this.#events = events;
    this.#monotonic = monotonic;
  }

  get presented(): boolean {
    return this.#present;
  }

  /** Its presence was lost, or never asked for: somebody should ask. */
  get awaitsPresence(): boolean {
    return !this.#present || this.#waiting.size > 0;
  }

  /** Those that wait, for a presence or for one before them. */
  get held(): number {
    return this.#held.size + this.#waiting.size;
  }

  get open(): Iterable<T> {
    return this.#open.values();
  }

  get idle(): boolean {
    return this.#open.size === 0;
  }

  arrive(frame: T): void {
    const known = this.#open.get(nameOf(frame));
    if (known !== undefined) return this.#events.again(known, frame);
    if (frame.link < this.#link || frame.link <= this.#broken) {
      this.#events.dropped(frame);
    } else if (!this.#present || frame.link > this.#link) {
      this.#open.set(nameOf(frame), frame);
      this.#waiting.set(frame, this.#monotonic());
    } else {
      this.#place(frame);
    }
  }

  /** Its gateway has said who is there, and begins with this link or goes on with it. */
  present(link: number): void {
    if (link < this.#link) return;
    this.#present = true;
    if (link > this.#link) {
      this.#dropHeld();
      this.#link = link;
      this.#base = 0;
      this.#next = 0;
      this.#skipped.length = 0;
    }
    const waiting = [...this.#waiting.keys()].filter((frame) => frame.link <= link);
    for (const frame of waiting.toSorted((a, b) => a.link - b.link || a.seq - b.seq)) {
      this.#waiting.delete(frame);
      this.#open.delete(nameOf(frame));
      this.arrive(frame);
    }
  }

  /** Its gateway is gone. Should it come back, it presents itself again, and nothing runs twice. */
  leave(): void {
    this.#present = false;
  }

  finished(frame: T): void {
    this.#open.delete(nameOf(frame));
  }

  /** Those that were not handed on are forgotten, unacknowledged. */
  forgetHeld(): readonly T[] {
    const forgotten = [...this.#held.values(), ...this.#waiting.keys()];
    for (const frame of forgotten) this.finished(frame);
    this.#held.clear();
    this.#waiting.clear();
    return forgotten;
  }

  /** The stream lost what it had: whatever of the link is not here never comes. */
  lose(): void {
    const link = Math.max(this.#link, ...[...this.#waiting.keys()].map((frame) => frame.link));
    if (link > 0) this.#break(link);
  }

  tick(): void {
    const nowMs = this.#monotonic();
    if (this.#held.size > 0 && nowMs - this.#heldSinceMs >= gapMs) this.#break(this.#link);
    // Told again until its gateway begins the next link.
    else if (this.#broken > 0 && this.#broken >= this.#link && this.#present) this.#events.broken(this.#broken);
    for (const [frame, sinceMs] of this.#waiting) {
      if (nowMs - sinceMs < unpresentedMs) continue;
      this.#waiting.delete(frame);
      this.#events.late(frame);
    }
  }

  #place(frame: T): void {
    const { seq } = frame;
    if (this.#base === 0) {
      this.#base = seq;
      this.#next = seq;
      this.#inheriting = frame.inherited;
    }
    this.#skip(frame);
    if (seq < this.#base || this.#isSkipped(seq)) {
      this.#open.set(nameOf(frame), frame);
      this.#events.late(frame);
    } else if (seq < this.#next) {
      this.#events.dropped(frame);
    } else {
      this.#open.set(nameOf(frame), frame);
      if (this.#held.size === 0) this.#heldSinceMs = this.#monotonic();
      this.#held.set(seq, frame);
      this.#handOn();
    }
  }

  /**
   * What is published for the first time is stored after everything before it. So whatever is missing between frames of a former
   * owner, and up to the first one that is not, was done and is gone; unless the stream had refused it alone, in which case it
   * comes late.
   */
  #skip({ seq, inherited, resent }: T): void {
    if (!this.#inheriting) return;
    if (seq > this.#next && (inherited || !resent)) {
      this.#skipped.push([this.#next, seq - 1]);
      this.#next = seq;
    }
    this.#inheriting = inherited;
  }

  #isSkipped(seq: number): boolean {
    return this.#skipped.some(([first, last]) => first <= seq && seq <= last);
  }

  #handOn(): void {
    for (let frame = this.#held.get(this.#next); frame !== undefined; frame = this.#held.get(this.#next)) {
      this.#held.delete(this.#next);
      this.#next += 1;
      // What is still missing, if anything is, is another one.
      this.#heldSinceMs = this.#monotonic();
      this.#events.ready(frame);
    }
  }

  #break(link: number): void {
    this.#broken = link;
    this.#dropHeld();
    for (const frame of this.#waiting.keys()) {
      if (frame.link > link) continue;
      this.#waiting.delete(frame);
      this.#drop(frame);
    }
    this.#events.broken(link);
  }

  #dropHeld(): void {
    const held = [...this.#held.values()];
    this.#held.clear();
    for (const frame of held) this.#drop(frame);
  }

  #drop(frame: T): void {
    this.finished(frame);
    this.#events.dropped(frame);
  }
}

function nameOf({ link, seq }: Numbered): string {
  return `${link}.${seq}`;
}
