/**
 * What a finished draft means for disk and subscribers, and the bounds on both: the journal gets the patches or the whole
 * state, whichever is smaller; subscribers always get patches.
 */
import { AppError } from '../protocol/errors.ts';
import type { JsonPatchOp } from '../protocol/json-patch.ts';
import type { StateChange } from '../storage/contract.ts';
import type { Activation } from './activation.ts';

export interface StateBounds {
  readonly stateBytesMax: number;
  readonly resultBytesMax: number;
}

export interface Change {
  readonly kind: 'none' | 'changed';
  /** For the journal. */
  readonly entry: StateChange;
  /** For subscribers; '' when there are none or nothing changed. */
  readonly patchText: string;
  /** The whole state as text, when it was needed anyway. */
  readonly stateText: string | undefined;
  readonly stateChars: number;
}

/** No patch is shorter than this, so a state that is gets written whole without looking at patches. */
const patchCharsMin = 32;

/** @throws AppError INTERNAL when the state grew past its bound */
export function changeOf(
  activation: Activation,
  finished: { readonly next: unknown; readonly patches: readonly JsonPatchOp[] },
  subscribed: boolean,
  bounds: StateBounds,
): Change {
  if (finished.patches.length === 0)
    return {
      kind: 'none',
      entry: { kind: 'none' },
      patchText: '',
      stateText: undefined,
      stateChars: activation.stateChars,
    };
  const small = activation.stateChars <= patchCharsMin;
  const patchText = subscribed || !(small || activation.needsFullWrite) ? JSON.stringify(finished.patches) : '';
  const grown = activation.stateChars + patchText.length;
  const whole =
    small ||
    activation.needsFullWrite ||
    patchText.length >= activation.stateChars ||
    mayExceed(grown, bounds.stateBytesMax);
  if (!whole)
    return {
      kind: 'changed',
      entry: { kind: 'patches', text: patchText },
      patchText,
      stateText: undefined,
      stateChars: grown,
    };
  const text = JSON.stringify(finished.next);
  if (exceeds(text, bounds.stateBytesMax)) {
    throw new AppError('INTERNAL', `state grew past ${bounds.stateBytesMax} bytes (limit stateBytesMax)`);
  }
  return {
    kind: 'changed',
    entry: { kind: 'state', text },
    patchText: subscribed ? patchText : '',
    stateText: text,
    stateChars: text.length,
  };
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
function exceeds(text: string, bytesMax: number): boolean {
  return mayExceed(text.length, bytesMax) && Buffer.byteLength(text) > bytesMax;
}

function mayExceed(chars: number, bytesMax: number): boolean {
  return chars * 3 > bytesMax;
}
