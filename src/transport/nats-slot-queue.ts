/**
 * Frames of one gateway for one slot that the stream has not acknowledged, in order.
 *
 *   send ──▶ frames ── publish ──▶ stream ── acknowledgement ──▶ forgotten
 *
 * A frame is published when it comes, without waiting for those before it; what comes twice or out of order is put right by
 * the runtime, by link and seq. When the stream refuses one, everything stops for a moment; then the oldest tries again
 * alone, two after it, then four, so that a full stream is not flooded and order is disturbed as little as can be.
 */
import { ackMs, ackMsMax, refusedPauseMs } from './nats-bounds.ts';

export interface UnackedFrame {
  readonly seq: number;
  readonly text: string;
  readonly bytes: number;
  readonly sentAtMs: number;
  /** How often it was published. */
  sends: number;
  /** The slot's epoch when it was published first. */
  epoch: number;
  publishedMs: number;
}

/** Publishes it, or loses it silently: who waits for the acknowledgement sees to the rest. */
export type PublishFrame = (frame: UnackedFrame, link: number) => void;

export class SlotQueue {
  /** By seq, oldest first. */
  readonly #frames = new Map<number, UnackedFrame>();
  readonly #publish: PublishFrame;
  #link = 1;
  #seq = 0;
  #bytes = 0;
  #mode: 'flowing' | 'paused' | 'trying' | 'away' = 'flowing';
  #pausedUntilMs = 0;
  /** While trying: those that are out, and how many may be. */
  readonly #trying = new Set<number>();
  #window = 1;
  #ackMs = ackMs;

  constructor(publish: PublishFrame, up: boolean) {
    this.#publish = publish;
    if (!up) this.#mode = 'away';
  }

  get link(): number {
    return this.#link;
  }

  get frames(): number {
    return this.#frames.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(text: string, bytes: number, sentAtMs: number): void {
    this.#seq += 1;
    const frame = { seq: this.#seq, text, bytes, sentAtMs, sends: 0, epoch: 0, publishedMs: 0 };
    this.#frames.set(frame.seq, frame);
    this.#bytes += bytes;
    if (this.#mode === 'flowing') this.#publish(frame, this.#link);
  }

  /** The stream has it. */
  acknowledged(link: number, seq: number): void {
    const frame = link === this.#link ? this.#frames.get(seq) : undefined;
    if (frame === undefined) return;
    this.#frames.delete(seq);
    this.#bytes -= frame.bytes;
    this.#ackMs = ackMs;
    if (this.#mode !== 'trying') return;
    this.#trying.delete(seq);
    if (this.#trying.size > 0) return;
    if (this.#window < windowMax) this.#try(this.#window * 2);
    else this.#publishAll();
  }

  /** The stream is full, or away. */
  refused(link: number, seq: number, nowMs: number): void {
    if (link !== this.#link || !this.#frames.has(seq) || this.#mode === 'away') return;
    this.#mode = 'paused';
    this.#pausedUntilMs = nowMs + refusedPauseMs;
  }

  /** Called often: whoever was not acknowledged in time is published again. */
  tick(nowMs: number): void {
    const oldest = this.#oldest();
    if (oldest === undefined) {
      if (this.#mode === 'paused' || this.#mode === 'trying') this.#mode = 'flowing';
    } else if (this.#mode === 'paused' && nowMs >= this.#pausedUntilMs) {
      this.#try(1);
    } else if (this.#mode !== 'away' && nowMs - oldest.publishedMs >= this.#ackMs) {
      this.#ackMs = Math.min(this.#ackMs * 2, ackMsMax);
      if (this.#mode === 'flowing') this.#publishAll();
      else if (this.#mode === 'trying') this.#try(1);
    }
  }

  /** No connection: everything waits. */
  away(): void {
    this.#mode = 'away';
  }

  /** The connection is there again, and nobody knows what of the old one arrived. */
  back(): void {
    this.#ackMs = ackMs;
    this.#publishAll();
  }

  /** Gives up everything and begins the next link. */
  reset(): void {
    this.#frames.clear();
    this.#bytes = 0;
    this.#seq = 0;
    this.#link += 1;
    if (this.#mode !== 'away') this.#mode = 'flowing';
  }

  #publishAll(): void {
    this.#mode = 'flowing';
    for (const frame of this.#frames.values()) this.#publish(frame, this.#link);
  }

  #try(window: number): void {
    this.#mode = 'trying';
    this.#window = window;
    this.#trying.clear();
    for (const frame of this.#frames.values()) {
      if (this.#trying.size === window) break;
      this.#trying.add(frame.seq);
      this.#publish(frame, this.#link);
    }
    // Nothing waits any more.
    if (this.#trying.size === 0) this.#mode = 'flowing';
  }

  #oldest(): UnackedFrame | undefined {
    for (const frame of this.#frames.values()) return frame;
    return undefined;
  }
}

/** Frames that the stream took together, after which it is taken to have room again. */
const windowMax = 256;
