/**
 * The turn: one item of a mailbox, run from beginning to end. This file is where control flows; what it calls computes
 * and returns.
 *
 *   call: repeat of a key? → method → input → middleware → connected? → handler on a draft → staged in the batch
 *
 * A turn is a generator that yields only what is really a promise, so that a turn without one runs straight through
 * (no microtasks: they cost more than the turn). While it waits, the actor is `busy` and takes nothing else. It is all or
 * nothing: a throw discards the draft and the events. One that outlives its limit, or whose actor was dropped meanwhile,
 * is ended from outside by a throw at its `yield`, which comes out of the same `catch`.
 */
import type { AnyHandler, PendingEvent } from '../actor/definition.ts';
import type { Address } from '../protocol/address.ts';
import { AppError } from '../protocol/errors.ts';
import type { Stream } from '../protocol/envelope.ts';
import { eventMessage, statePatch, stateSnapshot } from '../protocol/messages.ts';
import type { StoredOutcome } from '../storage/contract.ts';
import { type Activation, droppedMeanwhile } from './activation.ts';
import { allowSubscription, runMiddleware, validateInput } from './admission.ts';
import type { Answers } from './answers.ts';
import type { Batch } from './batch.ts';
import { changeOf, resultText, type StateBounds } from './change.ts';
import { type Surroundings, TurnContext } from './context.ts';
import { answerFor, faultOf, internalError } from './faults.ts';
import type { CallItem, MailboxItem } from './mailbox.ts';
import type { Waiter } from './outcomes.ts';
import type { Refusals } from './refusals.ts';
import type { Session } from './sessions.ts';
import { type Draft, openDraft } from './state-engine.ts';

/** Yields promises only; whoever drives it sends back what they settled to. */
export type Step<T> = Generator<PromiseLike<unknown>, T, unknown>;

export interface TurnParts extends Surroundings {
  readonly batch: Batch;
  /** For refusals: they say nothing about state, so they need not wait for a commit. */
  readonly refusals: Refusals;
  readonly bounds: StateBounds;
  /** Can this tenant's changes be written now? */
  readonly isWritable: (tenant: string) => boolean;
  /** An `onDisconnect` that has to run again later. */
  readonly postpone: (address: Address, session: Session) => void;
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

export class Turns {
  readonly #parts: TurnParts;
  readonly #answers: Answers;

  constructor(parts: TurnParts, answers: Answers) {
    this.#parts = parts;
    this.#answers = answers;
  }

  /** The whole of one item. Never throws. */
  *run(activation: Activation, item: MailboxItem): Step<void> {
    switch (item.kind) {
      case 'call':
        return yield* this.#call(activation, item);
      case 'read':
        return yield* this.#read(activation, item);
      case 'subscribe':
        return yield* this.#subscribe(activation, item.session, item.stream);
      case 'unsubscribe':
        return this.#unsubscribe(activation, item.session, item.stream);
      case 'disconnect':
        return yield* this.#disconnect(activation, item.session);
      case 'activate':
        yield* this.#hook(activation, 'onActivate', undefined);
        return;
      case 'deactivate':
        yield* this.#hook(activation, 'onDeactivate', undefined);
        return;
    }
  }

  *#call(activation: Activation, item: CallItem): Step<void> {
    const { definition, audience } = activation;
    let draft: Draft | undefined;
    let context: TurnContext | undefined;
    try {
      if (item.lookup !== undefined) {
        const stored = (item.lookup.settled ? item.lookup.value : yield item.lookup.promise) as Stored | undefined;
        if (stored !== undefined) return this.#answers.repeat(activation, item, stored);
      }
      if (item.deadlineMs < Number.POSITIVE_INFINITY && this.#parts.clock.monotonic() > item.deadlineMs) {
        throw new AppError('DEADLINE', 'The deadline passed before the call started');
      }
      const method = definition.methods.get(item.method);
      if (method === undefined) throw new AppError('UNKNOWN_METHOD', `Unknown method: ${item.method}`);
      const input =
        method.input === undefined ? undefined : yield* validateInput(method.input, item.method, item.input);
      const ctx = definition.middleware.length === 0 ? {} : yield* runMiddleware(activation, item.session, item.method);
      if (!audience.isConnected(item.session)) yield* this.#connect(activation, item.session);
      draft = openDraft(activation.state);
      context = new TurnContext(activation, draft.root, input, ctx, item.session.info, this.#parts);
      const returned = method.handler(context);
      // Text first: a returned draft can be read only while it lives.
      const result = resultText(item.method, isThenable(returned) ? yield returned : returned, this.#parts.bounds);
      const pending = context.events();
      this.#finish(activation, draft, isThenable(pending) ? ((yield pending) as readonly PendingEvent[]) : pending);
      this.#answers.end(activation, item, { kind: 'ok', result });
    } catch (thrown) {
      // Read before the draft ends: what was thrown may be part of it.
      const fault = faultOf(thrown);
      draft?.discard();
      if (fault.kind === 'app') context?.abort(fault.error);
      this.#answers.fail(activation, item, fault, context !== undefined);
    }
  }

  /** Makes a draft the state, and stages the change with its patches and events. From here on nothing waits or throws. */
  #finish(activation: Activation, draft: Draft, events: readonly PendingEvent[]): void {
    refuseDead(activation);
    const { audience, head } = activation;
    const finished = draft.finish();
    const changed = finished.patches.length > 0;
    const change = changed ? changeOf(activation, finished, this.#parts.bounds) : undefined;
    const keeps = activation.definition.durability !== 'memory';
    if (change !== undefined && keeps && !this.#parts.isWritable(activation.address.tenant)) throw readOnly;
    const exit = this.#answers.gate(activation);
    if (change !== undefined) {
      activation.change(finished.next, change.chars);
      if (keeps) this.#parts.batch.stage(activation).change(change.patchText);
      if (change.patchText !== '') {
        exit.publish(audience.gateways('state'), audience.topics.state, statePatch(head, change.patchText));
      }
    }
    for (const event of events) this.#sendEvent(activation, event);
  }

  #sendEvent(activation: Activation, { event, payload, target }: PendingEvent): void {
    const { audience, head } = activation;
    const exit = this.#answers.exitOf(activation);
    const text = eventMessage(head, event, payload);
    if (target.kind === 'all') return exit.publish(audience.gateways('event'), audience.topics.event, text);
    const { ids } = target;
    const wanted = target.kind === 'to';
    exit.sendAll(
      Array.from(audience.of('event')).filter(({ info }) => ids.has(info.clientId) === wanted),
      text,
    );
  }

  *#read(activation: Activation, item: Waiter): Step<void> {
    try {
      yield* allowSubscription(activation, item.session);
      refuseDead(activation);
      const durable = activation.definition.durability === 'durable';
      this.#answers.gate(activation).reply(item, activation.text(), durable, activation.seq);
    } catch (thrown) {
      this.#parts.refusals.call(item, answerFor(faultOf(thrown), false, this.#parts, activation, 'reading the state'));
    }
  }

  *#subscribe(activation: Activation, session: Session, stream: Stream): Step<void> {
    if (session.ended) return;
    try {
      yield* allowSubscription(activation, session);
      if (!activation.audience.isConnected(session)) yield* this.#connect(activation, session);
      refuseDead(activation);
      if (session.ended) return;
      activation.audience.subscribe(session, stream);
      const exit = this.#answers.gate(activation);
      exit.join(session, activation.audience.topics[stream]);
      if (stream === 'state') exit.send(session, stateSnapshot(activation.head, activation.text()));
    } catch (thrown) {
      const { type, id } = activation.address;
      const error = answerFor(faultOf(thrown), false, this.#parts, activation, `${stream} subscription`);
      this.#parts.refusals.subscription(session, stream, type, id, error);
    }
  }

  #unsubscribe(activation: Activation, session: Session, stream: Stream): void {
    activation.audience.unsubscribe(session, stream);
    this.#answers.gate(activation).leave(session, activation.audience.topics[stream]);
  }

  /** The first allowed contact of a session with this actor. */
  *#connect(activation: Activation, session: Session): Step<void> {
    if (session.info.kind !== 'ws' || session.ended) return;
    activation.audience.connect(session);
    session.actors.add(activation.key);
    const error = yield* this.#hook(activation, 'onConnect', session);
    // What could not be written, or was lost because the actor was dropped, is run again by the next contact.
    if (error?.code === 'READ_ONLY' || activation.status === 'dead') activation.audience.forget(session);
    else this.#parts.batch.stageConnected({ activation, session });
    refuseDead(activation);
  }

  *#disconnect(activation: Activation, session: Session): Step<void> {
    activation.audience.disconnect(session);
    const error = yield* this.#hook(activation, 'onDisconnect', session);
    // What could not be written is not given up: it runs again when the store works, or on the successor.
    if (error?.code === 'READ_ONLY' || activation.status === 'dead') this.#parts.postpone(activation.address, session);
    else this.#parts.batch.stageDisconnected({ activation, session });
  }

  /** A hook is a turn of its own. One that throws changes nothing and is logged: nobody waits for it. */
  *#hook(activation: Activation, name: HookName, session: Session | undefined): Step<AppError | undefined> {
    const hook: AnyHandler | undefined = activation.definition[name];
    if (hook === undefined) return undefined;
    const draft = openDraft(activation.state);
    const context = new TurnContext(activation, draft.root, undefined, {}, session?.info, this.#parts);
    try {
      const returned = hook(context);
      if (isThenable(returned)) yield returned;
      const pending = context.events();
      this.#finish(activation, draft, isThenable(pending) ? ((yield pending) as readonly PendingEvent[]) : pending);
      return undefined;
    } catch (thrown) {
      const fault = faultOf(thrown);
      draft.discard();
      if (fault.kind === 'app') context.abort(fault.error);
      internalError(fault, this.#parts, activation, name);
      return fault.kind === 'app' ? fault.error : undefined;
    }
  }
}

type HookName = 'onActivate' | 'onDeactivate' | 'onConnect' | 'onDisconnect';

interface Stored {
  readonly args: string;
  readonly outcome: StoredOutcome;
}

const readOnly = new AppError('READ_ONLY', 'The store cannot be written now; nothing changed', { retryAfterMs: 1000 });

/** An actor that was dropped while its turn waited: its state is not the true one any more. */
function refuseDead(activation: Activation): void {
  if (activation.status === 'dead') throw droppedMeanwhile();
}
