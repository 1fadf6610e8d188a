/**
 * One outbound frame per gateway, filled record by record and sent together.
 */
import { OutboundFrame } from '../protocol/envelope.ts';
import type { ShardLink } from '../transport/contract.ts';

export class Frames {
  readonly #link: ShardLink;
  readonly #frames: OutboundFrame[];

  constructor(link: ShardLink) {
    this.#link = link;
    this.#frames = Array.from({ length: link.gateways }, () => new OutboundFrame());
  }

  of(gateway: number): OutboundFrame {
    return this.#frames[gateway]!;
  }

  send(): void {
    for (const [gateway, frame] of this.#frames.entries()) {
      const text = frame.take();
      if (text !== undefined) this.#link.send(gateway, text);
    }
  }

  drop(): void {
    for (const frame of this.#frames) frame.take();
  }
}
