/**
 * One frame of calls that a runtime has in hand, from its delivery until the stream may forget it.
 */
import type { SlotFrame } from './contract.ts';
import type { Delivery } from './nats-delivery.ts';
import { type CallsHeader, type CallsMessage, writeCalls } from './nats-wire.ts';

/** Who hears that a frame is through. */
export interface FrameOwner {
  done(frame: FrameInHand): void;
  bury(frame: FrameInHand, reason: string): void;
}

export interface FrameInHandParts {
  readonly slot: number;
  readonly message: CallsMessage;
  readonly delivery: Delivery;
  readonly doubtful: boolean;
  readonly inherited: boolean;
  readonly bytes: number;
  readonly nowMs: () => number;
  readonly owner: FrameOwner;
}

export class FrameInHand implements SlotFrame {
  readonly kind = 'calls';
  readonly slot: number;
  readonly doubtful: boolean;
  /** A former owner had it. */
  readonly inherited: boolean;
  readonly bytes: number;
  readonly text: string;
  /** Of its last delivery. */
  delivery: Delivery;
  /** Set before it is handed on. */
  late = false;
  /** When the server last heard that it is in hand, monotonic. */
  toldMs = 0;
  /** Its stream is gone: an acknowledgement would be taken for another frame's. */
  unknownToServer = false;
  /** Why it becomes a dead letter when it is done. */
  condemned: string | undefined;
  readonly #header: CallsHeader;
  readonly #nowMs: () => number;
  readonly #owner: FrameOwner;
  #openings = '';
  #over = false;

  constructor({ slot, message, delivery, doubtful, inherited, bytes, nowMs, owner }: FrameInHandParts) {
    const { text, ...header } = message;
    this.slot = slot;
    this.text = text;
    this.#header = header;
    this.delivery = delivery;
    this.doubtful = doubtful;
    this.inherited = inherited;
    this.bytes = bytes;
    this.#nowMs = nowMs;
    this.#owner = owner;
  }

  get gateway(): string {
    return this.#header.gateway;
  }

  get link(): number {
    return this.#header.link;
  }

  get seq(): number {
    return this.#header.seq;
  }

  get ageMs(): number {
    return Math.max(0, this.#nowMs() - this.#header.sentAtMs);
  }

  /** As it came. */
  get data(): Uint8Array {
    return writeCalls(this.#header, this.text);
  }

  /** The same, with who made its calls, so that they can be made again. As it came when that is more than may be sent. */
  letter(bytesMax: number): Uint8Array {
    const openings = this.#openings;
    if (openings === '' || !this.text.startsWith('[[')) return this.data;
    const whole = writeCalls(this.#header, `[${openings},${this.text.slice(1)}`);
    return whole.length <= bytesMax ? whole : this.data;
  }

  callers(openings: string): void {
    this.#openings = openings;
  }

  done(): void {
    if (this.#over) return;
    this.#over = true;
    this.#owner.done(this);
  }

  bury(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#owner.bury(this, reason);
  }
}
