/**
 * What a finished draft means: the patches for subscribers and journal, and the bounds on state and result.
 */
import { AppError } from '../protocol/errors.ts';
import type { JsonPatchOp } from '../protocol/json-patch.ts';
import type { Activation } from './activation.ts';
import { smallStateChars } from './staged.ts';

export interface StateBounds {
  readonly stateBytesMax: number;
  readonly resultBytesMax: number;
}

export interface FinishedDraft {
  readonly next: unknown;
  /** Empty when nothing changed. */
  readonly patches: readonly JsonPatchOp[];
  /** At least the characters that they add to the state's JSON. */
  readonly addedChars: number;
}

export interface Change {
  /** JSON array; '' when nobody needs it: no subscribers now or lately, and a state so small that it is written whole. */
  readonly patchText: string;
  /** At least the characters of the new state's JSON. */
  readonly chars: number;
}

/** `watched`: subscribers need the patches. @throws AppError INTERNAL when the state grew past its bound */
export function changeOf(
  activation: Activation,
  finished: FinishedDraft,
  watched: boolean,
  bounds: StateBounds,
): Change {
  let chars = activation.stateChars + finished.addedChars;
  if (mayExceed(chars, bounds.stateBytesMax)) {
    // Only an estimate; near the bound the truth is worth its price.
    const text = JSON.stringify(finished.next);
    if (exceeds(text, bounds.stateBytesMax)) {
      throw new AppError('INTERNAL', `state grew past ${bounds.stateBytesMax} bytes (limit stateBytesMax)`);
    }
    chars = text.length;
  }
  const needed = watched || (chars > smallStateChars && !activation.needsWholeWrite);
  return { patchText: needed ? JSON.stringify(finished.patches) : '', chars };
}

/**
 * The patches for clients of the base set. The stock one takes the path `/`, which names the key '', for the whole state:
 * where it occurs, the whole state is what it gets.
 */
export function stockPatches(activation: Activation, patchText: string): string {
  if (!patchText.includes('"path":"/"')) return patchText;
  return `[{"op":"replace","path":"","value":${activation.text()}}]`;
}

/** The result as JSON text, '' for undefined. @throws AppError INTERNAL when JSON cannot hold it or it is too large */
export function resultText(method: string, result: unknown, bounds: StateBounds): string {
  if (result === undefined) return '';
  let text: string | undefined;
  try {
    text = JSON.stringify(result);
  } catch (error) {
    throw new AppError('INTERNAL', `method ${method} returned what JSON cannot hold`, { cause: error });
  }
  if (text !== undefined && exceeds(text, bounds.resultBytesMax)) {
    throw new AppError(
      'INTERNAL',
      `method ${method} returned more than ${bounds.resultBytesMax} bytes (limit resultBytesMax)`,
    );
  }
  return text ?? '';
}

/** A UTF-16 code unit takes one to three bytes in UTF-8: count them only when it matters. */
export function exceeds(text: string, bytesMax: number): boolean {
  return mayExceed(text.length, bytesMax) && Buffer.byteLength(text) > bytesMax;
}

function mayExceed(chars: number, bytesMax: number): boolean {
  return chars * 3 > bytesMax;
}
