/**
 * What goes to the gateways: records, gathered per gateway and slot, sent together; and the frames that are done with that.
 *
 * Invariant: a frame is told `done`, or is put aside, after its last answer was sent. Whoever adds something flushes before its own work ends.
 */
import type { OutboundOp } from '../protocol/envelope.ts';
import type { SlotFrame, SlotLink } from '../transport/contract.ts';
import type { Peer, Peers } from './peer.ts';

export class Outgoing {
  readonly #link: Pick<SlotLink, 'send'>;
  readonly #peers: Peers;
  #unsent = new Set<Peer>();
  #complete: (readonly [frame: SlotFrame, illegal: string | undefined])[] = [];

  constructor(link: Pick<SlotLink, 'send'>, peers: Peers) {
    this.#link = link;
    this.#peers = peers;
  }

  add(peer: Peer, op: OutboundOp, a: number, b: number, c: number, body: string): void {
    peer.out.add(op, a, b, c, body);
    this.#unsent.add(peer);
  }

  /** Nothing is owed for the frame any more, but that what was added is sent. `illegal`: why it is put aside then. */
  complete(frame: SlotFrame, illegal: string | undefined): void {
    this.#complete.push([frame, illegal]);
  }

  flush(): void {
    // A link may hand on its next frame from within `done`; that one flushes for itself.
    const [unsent, complete] = [this.#unsent, this.#complete];
    this.#unsent = new Set();
    this.#complete = [];
    for (const peer of unsent) {
      const records = peer.out.take();
      if (records !== undefined) this.#link.send(peer.gateway, peer.slot, records);
      this.#peers.release(peer);
    }
    for (const [frame, illegal] of complete) {
      if (illegal === undefined) frame.done();
      else frame.bury(illegal);
    }
  }
}
