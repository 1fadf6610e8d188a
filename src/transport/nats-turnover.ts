/**
 * What a gateway says to a newcomer: the frames that its handler sends during a turnover, as parts of a presence.
 *
 * Envelopes that say who is there and what they subscribed to make the presence. Others, calls that were gathered before
 * and happen to leave now, take the usual way: a presence is told again when it was lost, and a call must not be.
 */
import { decodeInbound, type Inbound, inboundOp } from '../protocol/envelope.ts';
import { splitFrame } from './nats-split.ts';

export interface Turnover {
  /** Frames of the presence, in order, none too long. Empty when one envelope alone is. */
  readonly presence: readonly string[];
  /** For the usual way. */
  readonly rest: string | undefined;
}

export function sortTurnover(frames: readonly string[], bytesMax: number): Turnover {
  const presence: Inbound[] = [];
  const rest: Inbound[] = [];
  for (const frame of frames) {
    for (const envelope of decodeInbound(frame)) (ofPresence.has(envelope[0]) ? presence : rest).push(envelope);
  }
  const split = splitFrame(JSON.stringify(presence), bytesMax);
  return {
    presence: split.tooLong.length > 0 ? [] : split.frames,
    rest: rest.length === 0 ? undefined : JSON.stringify(rest),
  };
}

const ofPresence: ReadonlySet<number> = new Set([
  inboundOp.open,
  inboundOp.detach,
  inboundOp.subscribe,
  inboundOp.present,
]);
