/**
 * Is this call a repeat? Asked when it comes in, before the mailbox: a repeat of a call that runs waits for its end, a
 * repeat of one that ended gets the stored outcome, and a call that its client gave up is refused.
 *
 * What memory does not know may be on disk. The question to the keeper is put here and answered, mostly, before the call's
 * turn comes; the turn looks at the answer (`turn.ts`).
 */
import type { Clock } from '../host/clock.ts';
import { parseNumberedKey } from '../protocol/address.ts';
import { AppError } from '../protocol/errors.ts';
import type { Keeper } from '../storage/contract.ts';
import type { Activation } from './activation.ts';
import { type Answers, keyReused } from './answers.ts';
import { Lookup, type Numbered } from './mailbox.ts';
import type { Waiter } from './outcomes.ts';

export interface RepeatsParts {
  readonly keeper: Keeper;
  readonly clock: Clock;
  readonly answers: Answers;
  /** Repeats that may wait for one call. */
  readonly waitersMax: number;
}

export class Repeats {
  readonly #parts: RepeatsParts;

  constructor(parts: RepeatsParts) {
    this.#parts = parts;
  }

  /** The call's place among its client's. @throws AppError MALFORMED, which a gateway would have said before */
  numbered(activation: Activation, key: string, ack: number): Numbered {
    const parsed = parseNumberedKey(key);
    if (parsed === undefined) throw new AppError('MALFORMED', 'with ack, key must be "<client>:<n>"');
    const client = activation.numbered.of(parsed.client, () =>
      this.#parts.keeper.numbered(activation.address, parsed.client),
    );
    client.acknowledge(ack);
    return { client, n: parsed.n };
  }

  /**
   * True when it was dealt with.
   * @throws AppError KEY_REUSED for a call that its client gave up; OVERLOADED, QUOTA when too much waits
   */
  isKnown(activation: Activation, { client, n }: Numbered, waiter: Waiter): boolean {
    if (n <= client.ack) throw givenUp;
    const known = client.get(n);
    if (known === undefined) {
      if (client.isFull) throw unacknowledged;
      return false;
    }
    if (known.kind === 'running') this.#wait(known.waiters, waiter);
    else this.#parts.answers.again(activation, waiter, known.outcome);
    return true;
  }

  /** The same for an arbitrary key. @throws AppError KEY_REUSED with other arguments, OVERLOADED */
  isKnownKey(activation: Activation, key: string, args: string, waiter: Waiter): boolean {
    const known = activation.outcomes.get(key, this.#parts.clock.now());
    if (known === undefined) return false;
    if (known.args !== args) throw keyReused;
    if (known.kind === 'running') this.#wait(known.waiters, waiter);
    else this.#parts.answers.again(activation, waiter, known.outcome);
    return true;
  }

  /** Asks the keeper for the outcome, unless memory knows that there is none. */
  lookUp(activation: Activation, key: string): Lookup | undefined {
    if (activation.outcomes.complete || !activation.stored) return undefined;
    return new Lookup(this.#parts.keeper.outcome(activation.address, key));
  }

  #wait(waiters: Waiter[], waiter: Waiter): void {
    if (waiters.length >= this.#parts.waitersMax)
      throw new AppError('OVERLOADED', 'Too many repeats of one call wait for it', { retryAfterMs: 250 });
    waiters.push(waiter);
  }
}

const unacknowledged = new AppError('QUOTA', 'Too many outcomes wait for the client to acknowledge them: raise "ack"', {
  retryAfterMs: 100,
});

export const givenUp = new AppError('KEY_REUSED', 'The client has said that this call had ended; it is not run again');
