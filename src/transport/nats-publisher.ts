/**
 * The way out of a gateway: frames of all slots, published to the stream and kept until the stream has them.
 *
 * Acknowledgements come to one subscription of this gateway's own; the last token of a reply's subject names slot, link and
 * seq. Nothing is published without a connection. What waits is bounded: first `accepts` says no, and should frames
 * come all the same for too long, those of the slot are given up and `onGivenUp` hears of it.
 */
import type { Msg } from 'nats';
import type { Clock } from '../host/clock.ts';
import { gatewayBytesMax, giveUpFactor, slotBytesMax, slotFramesMax } from './nats-bounds.ts';
import { slots, subjects } from './nats-names.ts';
import type { NatsPost } from './nats-post.ts';
import { SlotQueue, type UnackedFrame } from './nats-slot-queue.ts';
import { splitFrame } from './nats-split.ts';
import { writeCalls } from './nats-wire.ts';

export interface PublisherParts {
  readonly post: NatsPost;
  readonly gateway: string;
  readonly clock: Clock;
  /** The epoch under which the slot is served, as far as is known; else 0. */
  readonly epochOf: (slot: number) => number;
  /** Too much waits: what waits for the slot must be taken as lost. */
  readonly onGivenUp: (slot: number, reason: string) => void;
  /** These envelopes can never be sent. The others of their frame are. */
  readonly onOversize: (slot: number, envelopes: readonly unknown[]) => void;
  /** There is no stream. */
  readonly onStreamAway: () => void;
}

export class NatsPublisher {
  readonly #parts: PublisherParts;
  readonly #queues: readonly SlotQueue[];
  /** Counted anew with every use of a queue that may change it. */
  #bytes = 0;
  refusals = 0;
  repeats = 0;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
    this.#queues = Array.from(
      { length: slots },
      (_, slot) => new SlotQueue((frame, link) => this.#publish(slot, frame, link), parts.post.up),
    );
  }

  get bytes(): number {
    return this.#bytes;
  }

  get frames(): number {
    return this.#queues.reduce((sum, queue) => sum + queue.frames, 0);
  }

  linkOf(slot: number): number {
    return this.#queues[slot]!.link;
  }

  accepts(slot: number): boolean {
    const queue = this.#queues[slot];
    if (queue === undefined || this.#bytes > gatewayBytesMax) return false;
    return queue.frames <= slotFramesMax && queue.bytes <= slotBytesMax;
  }

  send(slot: number, text: string): void {
    const queue = this.#queues[slot];
    if (queue === undefined) return;
    const { frames, tooLong } = splitFrame(text, this.#parts.post.bodyBytesMax);
    for (const frame of frames) this.#add(slot, queue, frame);
    if (tooLong.length > 0) this.#parts.onOversize(slot, tooLong);
  }

  /** What came to a subject of acknowledgements. */
  acknowledgement(message: Msg): void {
    const token = message.subject.slice(message.subject.lastIndexOf('.') + 1);
    const [slot = -1, link = 0, seq = 0] = token.split('-').map(Number);
    const queue = this.#queues[slot];
    if (queue === undefined) return;
    const verdict = verdictOf(message);
    if (verdict === 'stored') return this.#changed(queue, () => queue.acknowledged(link, seq));
    this.refusals += 1;
    queue.refused(link, seq, this.#parts.clock.monotonic());
    if (verdict === 'nobody') this.#parts.onStreamAway();
  }

  tick(): void {
    const nowMs = this.#parts.clock.monotonic();
    for (const queue of this.#queues) queue.tick(nowMs);
  }

  away(): void {
    for (const queue of this.#queues) queue.away();
  }

  back(): void {
    for (const queue of this.#queues) queue.back();
  }

  reset(slot: number): void {
    const queue = this.#queues[slot]!;
    this.#changed(queue, () => queue.reset());
  }

  #add(slot: number, queue: SlotQueue, frame: string): void {
    const bytes = Buffer.byteLength(frame);
    const full =
      queue.frames >= slotFramesMax * giveUpFactor ||
      queue.bytes + bytes > slotBytesMax * giveUpFactor ||
      this.#bytes + bytes > gatewayBytesMax * giveUpFactor;
    if (full) return this.#parts.onGivenUp(slot, 'too much waits for the stream');
    this.#changed(queue, () => queue.add(frame, bytes, this.#parts.clock.now()));
  }

  #changed(queue: SlotQueue, change: () => void): void {
    const before = queue.bytes;
    change();
    this.#bytes += queue.bytes - before;
  }

  #publish(slot: number, frame: UnackedFrame, link: number): void {
    const { post, gateway, clock, epochOf } = this.#parts;
    if (!post.up) return;
    if (frame.sends === 0) frame.epoch = epochOf(slot);
    else this.repeats += 1;
    const { seq, sentAtMs, sends, epoch } = frame;
    frame.publishedMs = clock.monotonic();
    frame.sends += 1;
    // Should it not leave, it stays unacknowledged.
    const data = writeCalls({ gateway, link, seq, sentAtMs, sends, epoch }, frame.text);
    post.publish(subjects.calls(slot), data, `${subjects.acks(gateway)}.${slot}-${link}-${seq}`);
  }
}

/** `nobody`: no stream listens to the subject. */
function verdictOf(message: Msg): 'stored' | 'refused' | 'nobody' {
  if (message.headers?.code === 503) return 'nobody';
  try {
    const answer = message.json<{ error?: unknown; seq?: unknown } | null>();
    return answer !== null && answer.error === undefined && typeof answer.seq === 'number' ? 'stored' : 'refused';
  } catch {
    return 'refused';
  }
}
