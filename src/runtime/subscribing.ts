/**
 * The turns of those who watch: reading the state once, subscribing to it or to events, leaving again.
 *
 * A subscriber gets a snapshot, or, when it says where it was, what it missed since; whatever comes first, no patch or event
 * reaches it before. All of it waits in the batch, because it tells of state that may not be committed yet.
 */
import { AppError } from '../protocol/errors.ts';
import { eventPosition, statePatch, stateSnapshot, type StreamPosition } from '../protocol/messages.ts';
import type { Clock } from '../host/clock.ts';
import type { LogGate } from '../host/log-gate.ts';
import type { Stream } from '../protocol/envelope.ts';
import type { Keeper } from '../storage/contract.ts';
import { type Activation, refuseDead } from './activation.ts';
import { allowSubscription } from './admission.ts';
import type { Answers } from './answers.ts';
import type { Batch } from './batch.ts';
import { answerFor, faultOf } from './faults.ts';
import type { SubscribeItem } from './mailbox.ts';
import { keptMessage, missedEvents, missedPatches } from './missed.ts';
import type { Waiter } from './outcomes.ts';
import type { Outputs } from './outputs.ts';
import type { Refusals } from './refusals.ts';
import type { Session } from './sessions.ts';
import type { Step } from './turn.ts';

export interface SubscribingParts {
  readonly answers: Answers;
  readonly batch: Batch;
  readonly refusals: Refusals;
  readonly keeper: Keeper;
  readonly clock: Clock;
  readonly lines: LogGate;
  /** The first contact of a session with an actor. */
  readonly connect: (activation: Activation, session: Session) => Step<void>;
}

export class Subscribing {
  readonly #parts: SubscribingParts;

  constructor(parts: SubscribingParts) {
    this.#parts = parts;
  }

  *read(activation: Activation, item: Waiter): Step<void> {
    try {
      yield* allowSubscription(activation, item.session);
      refuseDead(activation);
      const durable = activation.definition.durability === 'durable';
      this.#parts.answers.gate(activation).reply(item, activation.text(), durable, activation.seq);
    } catch (thrown) {
      this.#parts.refusals.call(item, answerFor(faultOf(thrown), false, this.#parts, activation, 'reading the state'));
    }
  }

  *subscribe(activation: Activation, item: SubscribeItem): Step<void> {
    const { session, stream } = item;
    // Asked for on a connection that is gone: if the client comes back it asks again.
    if (isMoot(item)) return;
    try {
      yield* allowSubscription(activation, session);
      if (session.info.kind === 'sse' && stream === 'event') needEvents(activation);
      if (!activation.audience.isConnected(session)) yield* this.#parts.connect(activation, session);
      if (stream === 'state') yield* this.#state(activation, item);
      else yield* this.#events(activation, item);
    } catch (thrown) {
      const { type, id } = activation.address;
      const error = answerFor(faultOf(thrown), false, this.#parts, activation, `${stream} subscription`);
      this.#parts.refusals.subscription(session, stream, type, id, error);
    }
  }

  *#state(activation: Activation, item: SubscribeItem): Step<void> {
    const missed = yield* missedPatches(activation, item.since, this.#parts.keeper);
    refuseDead(activation);
    if (isMoot(item)) return;
    const exit = this.#join(activation, item);
    const { session } = item;
    const { head, epoch } = activation;
    const at = (seq: number): StreamPosition | undefined => (session.info.additions ? { epoch, seq } : undefined);
    if (missed === undefined) exit.send(session, stateSnapshot(head, activation.text(), at(activation.seq)));
    for (const { seq, text } of missed ?? []) exit.send(session, statePatch(head, text, at(seq)));
  }

  *#events(activation: Activation, item: SubscribeItem): Step<void> {
    const { head, epoch, definition } = activation;
    const keeps = definition.historyEventsMax > 0;
    const missed = keeps ? yield* missedEvents(activation, item.since, this.#parts.keeper) : undefined;
    refuseDead(activation);
    if (isMoot(item)) return;
    const { session } = item;
    const exit = this.#join(activation, item);
    if (missed === undefined || !session.info.additions) return;
    exit.send(session, eventPosition(head, epoch, missed.position, missed.gap));
    for (const event of missed.items) {
      const text = keptMessage(head, event, session.info.clientId);
      if (text !== undefined) exit.send(session, text);
    }
  }

  #join(activation: Activation, item: SubscribeItem): Batch | Outputs {
    const { session, stream } = item;
    if (activation.stored) this.#parts.batch.stageSubscribed({ activation, item });
    activation.audience.subscribe(session, stream);
    const exit = this.#parts.answers.gate(activation);
    exit.join(session, activation.audience.laneOf(session, stream).topic);
    return exit;
  }

  unsubscribe(activation: Activation, session: Session, stream: Stream): void {
    activation.audience.unsubscribe(session, stream);
    this.#parts.answers.gate(activation).leave(session, activation.audience.laneOf(session, stream).topic);
  }
}

/** An answer that would never have anything in it helps nobody. @throws AppError UNKNOWN_ROUTE */
function needEvents({ definition, address }: Activation): void {
  if (definition.events.size === 0) throw new AppError('UNKNOWN_ROUTE', `Actor ${address.type} declares no events`);
}

function isMoot({ session, lost }: SubscribeItem): boolean {
  return session.ended || session.lost !== lost;
}
