/**
 * Text that is too long for one message. Inbound frames are parted between envelopes, so that each part is a frame of its
 * own, and what cannot be parted is named; records are cut anywhere but between the halves of a surrogate pair, and joined again.
 */
import { decodeInbound } from '../protocol/envelope.ts';

export interface Split {
  /** Of at most so many bytes each, together the same envelopes in the same order but those that are too long. */
  readonly frames: readonly string[];
  /** Envelopes that are longer than that alone; or the text itself, should it be no frame. */
  readonly tooLong: readonly unknown[];
}

export function splitFrame(frame: string, bytesMax: number): Split {
  if (Buffer.byteLength(frame) <= bytesMax) return { frames: [frame], tooLong: [] };
  const split = { frames: [], tooLong: [] };
  splitEnvelopes(envelopesOf(frame), bytesMax, split);
  return split;
}

function envelopesOf(frame: string): readonly unknown[] {
  try {
    const envelopes: unknown = decodeInbound(frame);
    return Array.isArray(envelopes) ? envelopes : [frame];
  } catch {
    return [frame];
  }
}

function splitEnvelopes(
  envelopes: readonly unknown[],
  bytesMax: number,
  into: { frames: string[]; tooLong: unknown[] },
): void {
  const frame = JSON.stringify(envelopes);
  if (Buffer.byteLength(frame) <= bytesMax) into.frames.push(frame);
  else if (envelopes.length < 2) into.tooLong.push(...envelopes);
  else {
    const half = envelopes.length >> 1;
    splitEnvelopes(envelopes.slice(0, half), bytesMax, into);
    splitEnvelopes(envelopes.slice(half), bytesMax, into);
  }
}

export function cutText(text: string, bytesMax: number): string[] {
  // A unit of UTF-16 is at most three bytes of UTF-8, so that short texts need not be measured.
  if (text.length * 3 <= bytesMax || Buffer.byteLength(text) <= bytesMax) return [text];
  const units = Math.floor(bytesMax / 3);
  const pieces: string[] = [];
  for (let at = 0; at < text.length; ) {
    let end = Math.min(at + units, text.length);
    if (end < text.length && isHighSurrogate(text.charCodeAt(end - 1))) end -= 1;
    pieces.push(text.slice(at, end));
    at = end;
  }
  return pieces;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}
