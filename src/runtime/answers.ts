/**
 * Answers that are no plain success: failures, refusals, and outcomes that were stored before.
 *
 * What may tell of state waits in the batch for its commit; a refusal that came before the handler began, or from an actor
 * that was dropped, leaves with the tick.
 */
import type { Clock } from '../host/clock.ts';
import type { Logger } from '../host/log.ts';
import { AppError } from '../protocol/errors.ts';
import type { StoredOutcome } from '../storage/contract.ts';
import type { Activation } from './activation.ts';
import type { Batch } from './batch.ts';
import { handlerError } from './faults.ts';
import type { CallItem } from './mailbox.ts';
import type { Waiter } from './outcomes.ts';
import type { Refusals } from './refusals.ts';
import { entryOf, recordOf } from './trace.ts';

export const keyReused = new AppError(
  'KEY_REUSED',
  'This key was used before with another method or input; a key stands for one call',
);

interface AnswersParts {
  readonly batch: Batch;
  readonly refusals: Refusals;
  readonly clock: Clock;
  readonly log: Logger;
}

export class Answers {
  readonly #parts: AnswersParts;

  constructor(parts: AnswersParts) {
    this.#parts = parts;
  }

  /** A call that did not succeed. `started`: its handler had begun. */
  fail(activation: Activation, item: CallItem, thrown: unknown, started: boolean): void {
    const { batch, refusals, clock } = this.#parts;
    const error = handlerError(thrown, started, this.#parts, activation, item.method);
    const body = error.toBody();
    if (!started || activation.status === 'dead') {
      for (const waiter of this.#everyone(activation, item)) refusals.call(waiter, error);
      return;
    }
    const kept = body.outcome === 'failed' && batch.writable;
    const call = kept ? recordOf(item, { kind: 'error', error: body }, clock.now()) : undefined;
    batch.stage(activation, entryOf(activation, { kind: 'none' }, call));
    const waiters =
      call === undefined
        ? this.#everyone(activation, item)
        : [item, ...activation.outcomes.end(call.key, call.outcome, call.atMs)];
    for (const waiter of waiters) batch.replyError(waiter, body);
  }

  /** The key was seen before this actor came into memory. */
  repeat(activation: Activation, item: CallItem, stored: { args: string; outcome: StoredOutcome }): void {
    this.#parts.batch.stage(activation, undefined);
    for (const waiter of this.#everyone(activation, item)) this.stored(activation, waiter, item.args, stored);
  }

  /** Sends a stored outcome again, or refuses a key that stands for another call. */
  stored(activation: Activation, to: Waiter, args: string, stored: { args: string; outcome: StoredOutcome }): void {
    const { batch } = this.#parts;
    if (stored.args !== args) batch.replyError(to, keyReused.toBody());
    else if (stored.outcome.kind === 'error') batch.replyError(to, stored.outcome.error);
    else batch.reply(to, stored.outcome.result, activation.definition.durability === 'durable');
  }

  /** The caller and those who wait for the same key; the key is free again. */
  #everyone(activation: Activation, item: CallItem): Waiter[] {
    return [item, ...(item.key === '' ? [] : activation.outcomes.forget(item.key))];
  }
}
