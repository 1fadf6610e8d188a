/**
 * One slot that this runtime serves under one epoch: its consumer, the frames in hand, and the gateways that it knows.
 *
 *   consumer ──▶ reader ──▶ FrameOrder per gateway ──▶ receiver ──▶ done ──▶ acknowledged
 *
 * A frame is acknowledged when its calls are answered, and the answers were sent before on the same connection. Whatever is in
 * hand for long is kept alive at the server. When the consumer vanishes, it is made again under the same epoch, unless somebody
 * serves the slot under a higher one. A clean release leaves no doubt behind.
 */
import { deliveriesMax, workingMs } from './nats-bounds.ts';
import type { DeadLetter } from './nats-dead-letters.ts';
import type { Delivery } from './nats-delivery.ts';
import { FrameInHand } from './nats-frame-in-hand.ts';
import type { OrderEvents } from './nats-frame-order.ts';
import { NatsLanes } from './nats-lanes.ts';
import { presenceFrame } from './nats-presence-frame.ts';
import { NatsSlotConsumer } from './nats-slot-consumer.ts';
import type { NatsSlotParts } from './nats-slot-parts.ts';
import type { NatsSlotReader } from './nats-slot-reader.ts';
import { type PresencePart, readCalls, type SlotPosition } from './nats-wire.ts';

export class NatsSlot {
  readonly slot: number;
  readonly epoch: number;
  readonly #parts: NatsSlotParts;
  readonly reader: NatsSlotReader;
  readonly #consumer: NatsSlotConsumer;
  readonly #lanes: NatsLanes<FrameInHand>;
  /** Frames that the receiver has. */
  #given = 0;
  /** Messages that came and stay in the stream for the next owner. */
  readonly #left = new Set<number>();
  #state: 'taking' | 'open' | 'releasing' | 'over' = 'taking';
  #onIdle: (() => void) | undefined;
  #released: Promise<void> | undefined;

  constructor(parts: NatsSlotParts) {
    this.slot = parts.slot;
    this.epoch = parts.epoch;
    this.#parts = parts;
    this.#consumer = new NatsSlotConsumer(parts);
    this.#lanes = new NatsLanes((gateway) => this.#eventsFor(gateway), parts.clock.monotonic);
    this.reader = parts.reader((reason) => void this.#recover(reason));
  }

  get open(): boolean {
    return this.#state === 'open';
  }

  /** Frames that wait for a presence or for one before them. */
  get held(): number {
    return this.#lanes.held;
  }

  awaitsPresence(gateway: string): boolean {
    return this.#lanes.awaitsPresence(gateway);
  }

  /** Ends the former owners. @throws SlotTakenError, or Error when NATS does not answer */
  fence(): Promise<void> {
    return this.#consumer.fence();
  }

  /** Begins to read. @throws SlotTakenError, or Error when NATS does not answer */
  async begin(): Promise<void> {
    if (this.#state === 'taking') await this.#consumer.create();
    if (this.#state !== 'taking') throw new Error(`slot ${this.slot}: its taking was given up`);
    this.#state = 'open';
    this.reader.start();
  }

  /** A message of the slot's queue. */
  arrive(data: Uint8Array, delivery: Delivery): void {
    this.reader.took();
    if (this.#state !== 'open') {
      this.#left.add(delivery.streamSeq);
      return;
    }
    const { slot, clock, counts } = this.#parts;
    if (delivery.deliveries > 1) counts.redeliveries += 1;
    const message = readCalls(data);
    if (message === undefined) return this.#buryUnread(data, delivery);
    // Published more than once, and for the first time when somebody else served: that one may have run it.
    const resent = message.sends > 0 && message.epoch < this.epoch;
    const inherited = delivery.streamSeq <= this.#consumer.doubtUpTo;
    const frame = new FrameInHand({
      slot,
      message,
      delivery,
      doubtful: resent || inherited,
      inherited,
      bytes: data.length,
      nowMs: clock.now,
      owner: { done: (of) => this.#done(of), bury: (of, reason) => this.#bury(of, reason) },
    });
    frame.toldMs = clock.monotonic();
    counts.bytesInHand += frame.bytes;
    const order = this.#lanes.orderOf(frame.gateway);
    order.arrive(frame);
    if (order.awaitsPresence) this.#parts.greet(frame.gateway);
  }

  /** All parts of a presence, in order. */
  present(parts: readonly PresencePart[]): void {
    const [first] = parts;
    if (first === undefined || first.epoch !== this.epoch || this.#state === 'over') return;
    for (const { gateway, text } of parts) this.#parts.deliver(presenceFrame(this.slot, gateway, text));
    this.#lanes.present(first.gateway, first.link);
  }

  gone(gateway: string): void {
    this.#lanes.gone(gateway);
  }

  /** The number of the next answer to the gateway. */
  nextAnswer(gateway: string): number {
    return this.#lanes.nextAnswer(gateway);
  }

  /** The number of the last one, for a gateway that knows this owner. */
  positionFor(gateway: string): SlotPosition | undefined {
    const seq = this.#lanes.lastAnswer(gateway);
    return seq === undefined ? undefined : { slot: this.slot, epoch: this.epoch, seq };
  }

  tick(): void {
    this.reader.tick();
    this.#lanes.tick();
    const nowMs = this.#parts.clock.monotonic();
    for (const frame of this.#open()) {
      if (nowMs - frame.toldMs < workingMs || frame.unknownToServer) continue;
      frame.toldMs = nowMs;
      this.#parts.acknowledge(frame.delivery.reply, '+WPI');
    }
  }

  /** The connection is there again. */
  back(): void {
    if (this.#state === 'open') this.reader.start();
  }

  release(): Promise<void> {
    return (this.#released ??= this.#release());
  }

  /** At once; nothing is acknowledged any more. */
  abandon(): void {
    this.#state = 'over';
    this.reader.stop();
    this.#leaveHeld();
  }

  async #release(): Promise<void> {
    const wasOpen = this.#state === 'open';
    if (this.#state !== 'over') this.#state = 'releasing';
    this.reader.stop();
    this.#leaveHeld();
    if (this.#given > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    if (wasOpen) await this.#consumer.remove(() => this.#left.size);
    this.#state = 'over';
  }

  *#open(): Iterable<FrameInHand> {
    for (const order of this.#lanes.orders) yield* order.open;
  }

  #eventsFor(gateway: string): OrderEvents<FrameInHand> {
    const { counts, gate, tellBroken, slot } = this.#parts;
    return {
      ready: (frame) => this.#give(frame, false),
      late: (frame) => this.#give(frame, true),
      dropped: (frame) => this.#drop(frame),
      again: (frame, copy) => this.#again(frame, copy),
      broken: (link) => {
        counts.broken += 1;
        gate.write(
          'broken',
          'warn',
          { slot, gateway, link },
          'frames of a gateway were lost or cannot run; it begins anew',
        );
        tellBroken(gateway, link);
      },
    };
  }

  #give(frame: FrameInHand, late: boolean): void {
    const { deliveries } = frame.delivery;
    this.#given += 1;
    // Its calls end as unknown, and people can look at it.
    if (this.#isDeadly(frame)) frame.condemned = deadlyReason;
    else if (deliveries > deliveriesMax) frame.condemned = `it was delivered ${deliveries} times`;
    frame.late = late || frame.condemned !== undefined;
    this.#parts.deliver(frame);
    if (frame.condemned !== undefined) this.#lanes.orderOf(frame.gateway).giveUp(frame.link);
  }

  /** Its gateway has ended its calls, or they were answered before. */
  #drop(frame: FrameInHand): void {
    if (!this.#isDeadly(frame)) return this.#acknowledge(frame);
    // An owner died before its letter was stored: people must see it all the same.
    this.#given += 1;
    this.#aside(frame, 'undone', deadlyReason, frame.data);
  }

  #isDeadly({ delivery }: FrameInHand): boolean {
    return delivery.streamSeq === this.#consumer.deadly;
  }

  #done(frame: FrameInHand): void {
    const { condemned } = frame;
    if (condemned === undefined) this.#finish(frame);
    else this.#aside(frame, 'undone', condemned, frame.letter(this.#parts.frameBytesMax()));
  }

  #bury(frame: FrameInHand, reason: string): void {
    this.#aside(frame, 'illegal', reason, frame.data);
  }

  #aside(frame: FrameInHand, kind: DeadLetter['kind'], reason: string, data: Uint8Array): void {
    const { slot, gateway, delivery } = frame;
    const letter = { kind, slot, data, reason, gateway, deliveries: delivery.deliveries };
    void this.#parts.deadLetters.bury(letter).then((stored) => {
      // Without it the frame stays unacknowledged, which only a closed link causes.
      if (!stored) this.#state = 'over';
      this.#finish(frame);
    });
  }

  #finish(frame: FrameInHand): void {
    this.#lanes.orderOf(frame.gateway).finished(frame);
    this.#acknowledge(frame);
    this.#given -= 1;
    if (this.#given === 0) this.#onIdle?.();
  }

  #acknowledge(frame: FrameInHand): void {
    this.#parts.counts.bytesInHand -= frame.bytes;
    if (this.#state !== 'over' && !frame.unknownToServer) this.#parts.acknowledge(frame.delivery.reply, '+ACK');
  }

  #leaveHeld(): void {
    for (const frame of this.#lanes.orders.flatMap((order) => order.forgetHeld())) {
      this.#parts.counts.bytesInHand -= frame.bytes;
      this.#left.add(frame.delivery.streamSeq);
    }
  }

  #again(frame: FrameInHand, copy: FrameInHand): void {
    this.#parts.counts.copies += 1;
    if (frame.delivery.streamSeq !== copy.delivery.streamSeq) return this.#acknowledge(copy);
    this.#parts.counts.bytesInHand -= copy.bytes;
    frame.delivery = copy.delivery;
  }

  #buryUnread(data: Uint8Array, delivery: Delivery): void {
    const { slot, counts, deadLetters, acknowledge } = this.#parts;
    counts.malformed += 1;
    const { deliveries } = delivery;
    const letter = { kind: 'unreadable', slot, data, reason: 'it cannot be read', gateway: '', deliveries } as const;
    void deadLetters.bury(letter).then((stored) => {
      if (stored) acknowledge(delivery.reply, '+ACK');
    });
  }

  async #recover(reason: string): Promise<void> {
    const outcome = await this.#consumer.recover(reason, () => this.open);
    if (outcome === 'taken') return this.abandon();
    if (outcome === 'emptied') this.#startOver();
    this.back();
  }

  /** Another stream: what waited in the old one never comes, and its numbers are those of other frames now. */
  #startOver(): void {
    for (const frame of this.#open()) frame.unknownToServer = true;
    for (const order of this.#lanes.orders) order.lose();
  }
}

const deadlyReason = `${deliveriesMax} owners of the slot died with it`;
