/**
 * Frames of a client that cannot be followed yet, because it is not known yet which session they belong to.
 */
import type { ClientFrame } from '../protocol/decode.ts';

/** A frame that can be followed. */
export type WholeFrame = Exclude<ClientFrame, { kind: 'broken' }>;

export interface HeldFrame {
  readonly frame: WholeFrame;
  /** Length of the text that it came in. */
  readonly chars: number;
}

export class HeldFrames {
  readonly #framesMax: number;
  readonly #charsMax: number;
  readonly #frames: HeldFrame[] = [];
  #chars = 0;

  constructor(framesMax: number, charsMax: number) {
    this.#framesMax = framesMax;
    this.#charsMax = charsMax;
  }

  /** False when there is no room. */
  add(frame: WholeFrame, chars: number): boolean {
    this.#chars += chars;
    if (this.#frames.length >= this.#framesMax || this.#chars > this.#charsMax) return false;
    this.#frames.push({ frame, chars });
    return true;
  }

  /** In the order in which they came. */
  values(): readonly HeldFrame[] {
    return this.#frames;
  }
}
