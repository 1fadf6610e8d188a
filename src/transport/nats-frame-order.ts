/**
 * Frames of one gateway for one slot, put in the order in which they were sent, each once.
 *
 *   arrive ──▶ waiting (gateway not presented) ──▶ held (one before it is missing) ──▶ ready ──▶ finished
 *
 * Within a link frames are numbered without a gap. Of a link that began before us the first frame that is seen sets the base. One
 * that is missing is waited for. A link counts once its gateway has presented itself with it; what comes of older ones is dropped.
 *
 * A link is broken when one of its frames must not run: it does not come, it comes below the base or after its turn, or its gateway
 * does not present itself. What it opens and subscribes to is then unknown here, and nothing of the link may build on it: all
 * that has not begun is late, as is whatever comes. The gateway hears of it until it begins the next link, and ends what waits
 * as unknown, so that nothing waits for ever and nothing runs out of order.
 *
 * After a former owner, whose frames were done in any order, those are not waited for that it must have done. A frame is
 * published after everything unacknowledged before it, and a consumer delivers in the order of the stream. So what is missing between
 * frames of a former owner, and up to the first one that is not, was done and is gone. The one exception, a frame that the
 * stream refused alone, comes after its turn.
 */
import { gapMs, unpresentedMs } from './nats-bounds.ts';

export interface Numbered {
  readonly link: number;
  readonly seq: number;
  /** A former owner had it. */
  readonly inherited: boolean;
}

export interface OrderEvents<T> {
  /** It is its turn. */
  readonly ready: (frame: T) => void;
  /** It must not run, and its calls have to be answered: its link is broken. */
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
  /** No link up to this one is any good. */
  #broken = 0;
  /** The first seq of the link, as far as we are concerned; 0 before it is known. */
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
    if (frame.link < this.#link) return this.#events.dropped(frame);
    const counts = this.#present && frame.link === this.#link;
    if (counts && frame.link > this.#broken) return this.#place(frame);
    this.#open.set(nameOf(frame), frame);
    if (frame.link <= this.#broken) this.#events.late(frame);
    else this.#waiting.set(frame, this.#monotonic());
  }

  /** Its gateway has said who is there, and begins with this link or goes on with it. */
  present(link: number): void {
    if (link < this.#link) return;
    this.#present = true;
    if (link > this.#link) {
      for (const frame of this.#takeHeld()) this.#drop(frame);
      // One that followed another one here has been nobody else's.
      this.#base = this.#link === 0 ? 0 : 1;
      this.#next = this.#base;
      this.#inheriting = false;
      this.#skipped.length = 0;
      this.#link = link;
    }
    const waiting = [...this.#waiting.keys()].filter((frame) => frame.link <= link);
    for (const frame of waiting.toSorted((a, b) => a.link - b.link || a.seq - b.seq)) {
      // One before it may have broken the link, and those that waited with it.
      if (!this.#waiting.delete(frame)) continue;
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

  /** One of this link was not applied, whatever the reason: those after it must not build on it. */
  giveUp(link: number): void {
    if (link >= this.#link && link > this.#broken) this.#break(link);
  }

  /** The stream lost what it had: whatever of the link is not here never comes. */
  lose(): void {
    const link = Math.max(this.#link, this.#broken, ...[...this.#waiting.keys()].map((frame) => frame.link));
    if (link > 0) this.#break(link);
  }

  tick(): void {
    const nowMs = this.#monotonic();
    if (this.#held.size > 0 && nowMs - this.#heldSinceMs >= gapMs) this.#break(this.#link);
    // Told again until its gateway begins the next link.
    else if (this.#broken > 0 && this.#broken >= this.#link && this.#present) this.#events.broken(this.#broken);
    for (const [{ link }, sinceMs] of this.#waiting) if (nowMs - sinceMs >= unpresentedMs) this.giveUp(link);
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
      this.giveUp(frame.link);
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

  #skip({ seq, inherited }: T): void {
    if (!this.#inheriting) return;
    if (seq > this.#next) {
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
    // Said before anything is forgotten elsewhere.
    this.#events.broken(link);
    const waiting = [...this.#waiting.keys()].filter((frame) => frame.link <= link);
    for (const frame of waiting) this.#waiting.delete(frame);
    for (const frame of [...this.#takeHeld(), ...waiting]) this.#events.late(frame);
  }

  #takeHeld(): readonly T[] {
    const held = [...this.#held.values()];
    this.#held.clear();
    return held;
  }

  #drop(frame: T): void {
    this.finished(frame);
    this.#events.dropped(frame);
  }
}

function nameOf({ link, seq }: Numbered): string {
  return `${link}.${seq}`;
}
