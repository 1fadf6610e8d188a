/**
 * Text that is too long for one message. Inbound frames are parted between envelopes, so that each part is a frame of its
 * own; records are cut anywhere but between the halves of a surrogate pair, and joined again.
 */
import { decodeInbound } from '../protocol/envelope.ts';

/** Frames of at most `bytesMax`, together the same envelopes; undefined when one envelope alone is too long. */
export function splitFrame(frame: string, bytesMax: number): string[] | undefined {
  if (Buffer.byteLength(frame) <= bytesMax) return [frame];
  let envelopes: readonly unknown[];
  try {
    envelopes = decodeInbound(frame);
  } catch {
    return undefined;
  }
  return Array.isArray(envelopes) ? splitEnvelopes(envelopes, bytesMax) : undefined;
}

function splitEnvelopes(envelopes: readonly unknown[], bytesMax: number): string[] | undefined {
  const frame = JSON.stringify(envelopes);
  if (Buffer.byteLength(frame) <= bytesMax) return [frame];
  if (envelopes.length < 2) return undefined;
  const half = envelopes.length >> 1;
  const first = splitEnvelopes(envelopes.slice(0, half), bytesMax);
  const second = splitEnvelopes(envelopes.slice(half), bytesMax);
  return first === undefined || second === undefined ? undefined : [...first, ...second];
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
