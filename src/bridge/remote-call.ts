/**
 * One call or read of a gateway's client: whether it may still be run, and its one answer, under the gateway's own number.
 *
 * What may have been run by a former runtime is never called rejected by what did not look for its outcome.
 */
import type { Waiter } from '../gateway/pending.ts';
import { AppError, type ErrorBody } from '../protocol/errors.ts';
import type { SlotFrame } from '../transport/contract.ts';
import type { FrameAccount } from './frame-account.ts';
import type { Outgoing } from './outgoing.ts';
import type { Peer } from './peer.ts';

export class RemoteCall implements Waiter {
  readonly #outgoing: Outgoing;
  readonly #account: FrameAccount;
  readonly #peer: Peer;
  /** The gateway's. */
  readonly #number: number;
  readonly #mayHaveRun: boolean;

  constructor(outgoing: Outgoing, account: FrameAccount, peer: Peer, number: number, mayHaveRun: boolean) {
    this.#outgoing = outgoing;
    this.#account = account;
    this.#peer = peer;
    this.#number = number;
    this.#mayHaveRun = mayHaveRun;
    account.owe();
  }

  ok(result: string, durable: boolean, seq: number): void {
    this.#outgoing.add(this.#peer, 'K', this.#number, durable ? 1 : 0, seq, result);
    this.#account.answered();
  }

  failed(error: ErrorBody): void {
    const told = this.#mayHaveRun && refusalsUnseen.has(error.code) ? interrupted : error;
    this.#outgoing.add(this.#peer, 'E', this.#number, 0, 0, JSON.stringify(told));
    this.#account.answered();
  }
}

/** What a call may still be given: milliseconds, 0 without a bound, below 0 when only its outcome is wanted; or why it is not run. */
export function timeLeft(
  { ageMs, doubtful, late }: Pick<SlotFrame, 'ageMs' | 'doubtful' | 'late'>,
  { key, deadlineMs }: { readonly key: string; readonly deadlineMs: number },
  queuedCallMsMax: number,
): number | ErrorBody {
  if (late) return outOfOrder;
  if (doubtful && key === '') return interrupted;
  if (deadlineMs === 0) return ageMs > queuedCallMsMax && !doubtful ? waitedTooLong : 0;
  const leftMs = Math.ceil(deadlineMs - ageMs);
  if (leftMs > 0) return leftMs;
  // A call with this key may have been made before, on another connection: the shard looks.
  return key === '' ? over : -1;
}

/** Why a read is not done. It changes nothing, so that doubt does not matter. */
export function readRefusal({ ageMs, late }: SlotFrame, queuedCallMsMax: number): ErrorBody | undefined {
  if (late) return outOfOrder;
  return ageMs > queuedCallMsMax ? waitedTooLong : undefined;
}

/** Codes of refusals that come before anybody has looked for an outcome. */
const refusalsUnseen: ReadonlySet<string> = new Set(['OVERLOADED', 'QUOTA']);

const interrupted = unknown('The server that had this call ended; repeat it with the same key');
const outOfOrder = unknown('This call was lost on its way for too long; repeat it with the same key');
/** The session is not known: it went on through another gateway, or has ended. */
export const movedOn = unknown('The client came back on another connection; repeat it with the same key');
/** What was asked is not legal. */
export const unreadable = unknown('The server could not read this call');
const waitedTooLong = new AppError('OVERLOADED', 'The call waited too long for a server', {
  retryAfterMs: 1000,
}).toBody();
/** Nothing of it was begun here. */
export const givenUp = new AppError('OVERLOADED', 'Another server takes over; try again', {
  retryAfterMs: 500,
}).toBody();
const over = new AppError('DEADLINE', 'The deadline passed before the call started').toBody();

function unknown(message: string): ErrorBody {
  return new AppError('UNKNOWN', message, { retryAfterMs: 500 }).toBody();
}
