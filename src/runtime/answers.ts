/**
 * Answers that are no plain success: failures, refusals, and outcomes that were stored before.
 *
 * What may tell of state waits in the batch for its commit; a refusal that came before the handler began, or from an actor
 * that was dropped, leaves with the tick.
 */
import type { StoredOutcome } from '../storage/contract.ts';
import type { Activation } from './activation.ts';
import type { Batch } from './batch.ts';
import { answerFor, type Fault, type FaultParts } from './faults.ts';
import type { CallItem } from './mailbox.ts';
import type { Outputs } from './outputs.ts';
import type { Waiter } from './outcomes.ts';
import type { Refusals } from './refusals.ts';

export interface AnswersParts extends FaultParts {
  readonly batch: Batch;
  readonly refusals: Refusals;
  /** Can this tenant's changes be written now? */
  readonly isWritable: (tenant: string) => boolean;
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

  /** The outcome of a call, which is kept when it has a key. */
  end(activation: Activation, item: CallItem, outcome: StoredOutcome): void {
    const exit = this.gate(activation);
    this.#keep(activation, item, outcome);
    release(item);
    this.#tell(activation, exit, item, outcome);
  }

  /** A call that did not succeed. `started`: its handler had begun. */
  fail(activation: Activation, item: CallItem, fault: Fault, started: boolean): void {
    const error = answerFor(fault, started, this.#parts, activation, item);
    const body = error.toBody();
    const live = started && activation.status !== 'dead';
    if (live && body.outcome === 'failed') return this.end(activation, item, { kind: 'error', error: body });
    release(item);
    const exit = live ? this.gate(activation) : this.#parts.refusals.outputs;
    exit.replyError(item, body);
  }

  /** The call was made before. Its outcome may have been staged only now, so that it waits for the commit as well. */
  repeat(activation: Activation, item: CallItem, outcome: StoredOutcome): void {
    release(item);
    this.#tell(activation, this.gate(activation), item, outcome);
  }

  #tell(activation: Activation, exit: Batch | Outputs, to: Waiter, outcome: StoredOutcome): void {
    if (outcome.kind === 'error') exit.replyError(to, outcome.error);
    else exit.reply(to, outcome.result, activation.definition.durability === 'durable');
  }

  /**
   * In the batch and in memory. Not while the store fails: a call that ends then has changed nothing, so that a repeat may
   * run, and its outcome would be one more thing to write.
   */
  #keep(activation: Activation, { key, args, numbered }: CallItem, outcome: StoredOutcome): void {
    if (numbered === undefined && key === '') return;
    if (activation.stored && !this.#parts.isWritable(activation.address.tenant)) return;
    const atMs = this.#parts.clock.now();
    if (numbered !== undefined) {
      const { client, n } = numbered;
      client.end(n, outcome);
      if (activation.stored) this.#parts.batch.stage(activation).endNumbered(client, n, outcome, atMs);
      else activation.numbered.trim();
    } else {
      activation.outcomes.keep(key, args, outcome, atMs);
      if (activation.stored) this.#parts.batch.stage(activation).calls.push({ key, args, outcome, atMs });
      else activation.outcomes.trim();
    }
  }
}

/** The call waits and runs no more. */
export function release({ numbered }: CallItem): void {
  numbered?.client.leave();
}
