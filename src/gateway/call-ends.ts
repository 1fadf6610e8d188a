/**
 * The ends of calls: whoever waits for one hears it, once, and what was only waiting for that goes.
 *
 * An answer to a call that has ended before reaches nobody.
 */
import type { ErrorBody } from '../protocol/errors.ts';
import type { Intake } from './intake.ts';
import type { GatewayMeters } from './meters.ts';
import type { Entry, Pending } from './pending.ts';

export interface CallEndsParts {
  readonly pending: Pending;
  readonly intake: Intake;
  readonly meters: GatewayMeters;
}

export class CallEnds {
  readonly #parts: CallEndsParts;

  constructor(parts: CallEndsParts) {
    this.#parts = parts;
  }

  /** The body of an answer `K`. */
  succeed(call: number, result: string, durable: boolean, seq: number): void {
    this.#end(call, 'ok', ({ waiter }) => waiter.ok(result, durable, seq));
  }

  fail(call: number, error: ErrorBody): void {
    this.#end(call, error.outcome, ({ waiter }) => waiter.failed(error));
  }

  #end(call: number, outcome: 'ok' | ErrorBody['outcome'], tell: (entry: Entry) => void): void {
    const { pending, intake, meters } = this.#parts;
    const entry = pending.take(call);
    if (entry === undefined) return;
    if (entry.facts !== undefined) meters.answered(outcome, entry.arrivedMs);
    tell(entry);
    intake.answered(entry.session);
  }
}
