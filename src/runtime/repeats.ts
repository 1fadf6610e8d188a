/**
 * Is this call a repeat? A call with a key takes its place in the mailbox like any other, so that its answer never
 * overtakes what its client asked for before; when its turn comes, whatever stood before it has ended, and it is told the
 * stored outcome or runs.
 *
 * What memory does not know may be on disk. The question to the keeper is put when the call comes in, and mostly answered
 * before its turn.
 */
import type { Clock } from '../host/clock.ts';
import { parseNumberedKey } from '../protocol/address.ts';
import { AppError } from '../protocol/errors.ts';
import type { Keeper, StoredOutcome } from '../storage/contract.ts';
import type { Activation } from './activation.ts';
import { type CallItem, Lookup, type Numbered } from './mailbox.ts';
import type { StoredCalls } from './numbered.ts';
import type { EndedCall } from './outcomes.ts';
import type { Step } from './turn.ts';

export class Repeats {
  readonly #keeper: Keeper;
  readonly #clock: Clock;

  constructor(keeper: Keeper, clock: Clock) {
    this.#keeper = keeper;
    this.#clock = clock;
  }

  /**
   * A numbered call's place among its client's.
   * @throws AppError KEY_REUSED when its client has given it up, QUOTA when too much of it is unacknowledged,
   *   MALFORMED, which a gateway would have said before
   */
  place(activation: Activation, key: string, ack: number): Numbered {
    const parsed = parseNumberedKey(key);
    if (parsed === undefined) throw new AppError('MALFORMED', 'with ack, key must be "<client>:<n>"');
    const { client: name, n } = parsed;
    const client = activation.numbered.of(name, () => this.#keeper.numbered(activation.address, name));
    client.acknowledge(ack);
    if (n <= client.ack) throw givenUp;
    // The first that is unacknowledged is the one that lets the mark rise.
    if (client.isFull && n > client.ack + 1 && client.get(n) === undefined) throw unacknowledged;
    return { client, n };
  }

  /** Asks the keeper for the outcome of an arbitrary key, unless memory knows that there is none. */
  lookUp({ outcomes, address, stored }: Activation, key: string): Lookup | undefined {
    if (outcomes.complete || !stored) return undefined;
    return new Lookup(this.#keeper.outcome(address, key), outcomes);
  }

  /** How the call ended before, if it did. @throws AppError KEY_REUSED, or what the keeper throws */
  *find(activation: Activation, item: CallItem): Step<StoredOutcome | undefined> {
    if (item.numbered !== undefined) return yield* this.#findNumbered(item.numbered);
    if (item.key === '') return undefined;
    const ended = activation.outcomes.get(item.key, this.#clock.now()) ?? (yield* this.#onDisk(activation, item));
    if (ended !== undefined && ended.args !== item.args) throw keyReused;
    return ended?.outcome;
  }

  *#findNumbered({ client, n }: Numbered): Step<StoredOutcome | undefined> {
    const isNew = client.stored !== undefined;
    if (client.stored !== undefined) client.learn((yield client.stored) as StoredCalls);
    if (n <= client.ack) throw givenUp;
    const outcome = client.get(n);
    // What is on disk counts as well.
    if (isNew && outcome === undefined && client.isFull && n > client.ack + 1) throw unacknowledged;
    return outcome;
  }

  *#onDisk(activation: Activation, { key, lookup }: CallItem): Step<EndedCall | undefined> {
    const { outcomes, address, stored } = activation;
    if (outcomes.complete || !stored) return undefined;
    if (lookup?.isCurrent(outcomes) !== true) {
      // It was asked before an outcome was let go of here, or of another activation: the answer may lack the newest.
      return (yield this.#keeper.outcome(address, key)) as EndedCall | undefined;
    }
    return lookup.settled ? lookup.value : ((yield lookup.promise) as EndedCall | undefined);
  }
}

const keyReused = new AppError(
  'KEY_REUSED',
  'This key was used before with another method or input; a key stands for one call',
);

const givenUp = new AppError('KEY_REUSED', 'The client has said that this call had ended; it is not run again');

const unacknowledged = new AppError('QUOTA', 'Too many outcomes wait for the client to acknowledge them: raise "ack"', {
  retryAfterMs: 100,
});
