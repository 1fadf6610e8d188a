/**
 * Answers that are no plain success: failures, refusals, and outcomes that were stored before.
 *
 * What may tell of state waits in the batch for its commit; a refusal that came before the handler began, or from an actor
 * that was dropped, leaves with the tick.
 */
import type { Clock } from '../host/clock.ts';
import type { Logger } from '../host/log.ts';
import { AppError } from '../protocol/errors.ts';
import type { CallRecord, StoredOutcome } from '../storage/contract.ts';
import type { Activation } from './activation.ts';
import type { Batch } from './batch.ts';
import { answerFor, type Fault } from './faults.ts';
import type { CallItem } from './mailbox.ts';
import type { Outputs } from './outputs.ts';
import type { Waiter } from './outcomes.ts';
import type { Refusals } from './refusals.ts';

export const keyReused = new AppError(
  'KEY_REUSED',
  'This key was used before with another method or input; a key stands for one call',
);

export interface AnswersParts {
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

  /** The way out for what this actor says: through the batch, or at once when it lives in memory only. */
  exitOf(activation: Activation): Batch | Outputs {
    return activation.stored ? this.#parts.batch : this.#parts.refusals.outputs;
  }

  /** An answer of this actor is about to be given: it must wait for what the actor may have seen. */
  gate(activation: Activation): Batch | Outputs {
    if (activation.stored) this.#parts.batch.stage(activation);
    return this.exitOf(activation);
  }

  /** The outcome of a call, for the caller and all who wait for the same key. */
  end(activation: Activation, item: CallItem, outcome: StoredOutcome): void {
    const exit = this.gate(activation);
    for (const waiter of [item, ...this.#keep(activation, item, outcome)])
      this.#tell(activation, exit, waiter, outcome);
  }

  /** A call that did not succeed. `started`: its handler had begun. */
  fail(activation: Activation, item: CallItem, fault: Fault, started: boolean): void {
    const error = answerFor(fault, started, this.#parts, activation, item.method);
    const body = error.toBody();
    const live = started && activation.status !== 'dead';
    if (live && body.outcome === 'failed' && this.#parts.batch.writable) {
      return this.end(activation, item, { kind: 'error', error: body });
    }
    const exit = live ? this.gate(activation) : this.#parts.refusals.outputs;
    for (const waiter of this.#everyone(activation, item)) exit.replyError(waiter, body);
  }

  /** The key was seen before this actor came into memory: its caller gets the stored outcome, as does who waits with it. */
  repeat(activation: Activation, item: CallItem, stored: { args: string; outcome: StoredOutcome }): void {
    for (const waiter of this.#everyone(activation, item)) {
      if (stored.args === item.args) this.again(activation, waiter, stored.outcome);
      else this.gate(activation).replyError(waiter, keyReused.toBody());
    }
  }

  /** Sends a stored outcome again. It may have been staged only now, so that it waits for the commit as well. */
  again(activation: Activation, to: Waiter, outcome: StoredOutcome): void {
    this.#tell(activation, this.gate(activation), to, outcome);
  }

  #tell(activation: Activation, exit: Batch | Outputs, to: Waiter, outcome: StoredOutcome): void {
    if (outcome.kind === 'error') exit.replyError(to, outcome.error);
    else exit.reply(to, outcome.result, activation.definition.durability === 'durable');
  }

  /** Keeps the outcome of a call with a key, in the batch and in memory; returns those who waited for it. */
  #keep(activation: Activation, { key, args, numbered }: CallItem, outcome: StoredOutcome): readonly Waiter[] {
    if (numbered !== undefined) {
      const { client, n } = numbered;
      if (activation.stored)
        this.#parts.batch.stage(activation).endNumbered(client, n, outcome, this.#parts.clock.now());
      else activation.numbered.trim();
      return client.end(n, outcome);
    }
    if (key === '') return nobody;
    const call: CallRecord = { key, args, outcome, atMs: this.#parts.clock.now() };
    const waiters = activation.outcomes.end(key, outcome, call.atMs);
    if (activation.stored) this.#parts.batch.stage(activation).calls.push(call);
    else activation.outcomes.trim();
    return waiters;
  }

  /** The caller and those who wait for the same key; the key is free again. */
  #everyone(activation: Activation, item: CallItem): Waiter[] {
    return [item, ...forget(activation, item)];
  }
}

const nobody: readonly Waiter[] = [];

/** A call leaves no outcome: whoever waited for it is returned, and the key is free again. */
export function forget(activation: Activation, { key, numbered }: CallItem): readonly Waiter[] {
  if (numbered !== undefined) return numbered.client.forget(numbered.n);
  return key === '' ? nobody : activation.outcomes.forget(key);
}
