/** How many answers one frame still owes. When it owes none, it is done as soon as they are sent, or put aside. */
import type { SlotFrame } from '../transport/contract.ts';
import type { Outgoing } from './outgoing.ts';
import type { Peer } from './peer.ts';

/** Frames that owe something, of all slots. */
export interface OpenFrames {
  frames: number;
}

export class FrameAccount {
  readonly #frame: SlotFrame;
  readonly #peer: Peer;
  readonly #outgoing: Outgoing;
  readonly #open: OpenFrames;
  /** The reader of the frame itself is one to wait for: it may find further calls. */
  #owed = 1;
  #illegal: string | undefined;

  constructor(frame: SlotFrame, peer: Peer, outgoing: Outgoing, open: OpenFrames) {
    this.#frame = frame;
    this.#peer = peer;
    this.#outgoing = outgoing;
    this.#open = open;
    open.frames += 1;
    peer.open += 1;
  }

  /** All that is waited for is its reader. */
  get owesNothing(): boolean {
    return this.#owed === 1;
  }

  /** Something in it cannot be handled: it is put aside in the end, for the first reason of several. */
  condemn(reason: string): void {
    this.#illegal ??= reason;
  }

  /** One more call of it was found. */
  owe(): void {
    this.#owed += 1;
    this.#peer.open += 1;
  }

  /** The answer to one of its calls was added to what goes out. */
  answered(): void {
    this.#settle();
  }

  /** It was read to its end, and what it says was handed to the shards. */
  read(): void {
    this.#settle();
  }

  #settle(): void {
    this.#peer.open -= 1;
    this.#owed -= 1;
    if (this.#owed > 0) return;
    this.#open.frames -= 1;
    this.#outgoing.complete(this.#frame, this.#illegal);
  }
}
