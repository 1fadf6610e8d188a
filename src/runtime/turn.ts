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
import type { AnyHandler } from '../actor/definition.ts';
import type { Logger } from '../host/log.ts';
import { AppError } from '../protocol/errors.ts';
import { eventMessage, statePatch, stateSnapshot } from '../protocol/messages.ts';
import type { Stream } from '../protocol/envelope.ts';
import type { StoredOutcome } from '../storage/contract.ts';
import type { Activation } from './activation.ts';
import type { Answers } from './answers.ts';
import type { Batch } from './batch.ts';
import { TurnContext, type Surroundings } from './context.ts';
import { allowSubscription, runMiddleware, validateInput } from './admission.ts';
import { handlerError, internalError } from './faults.ts';
import type { CallItem, MailboxItem } from './mailbox.ts';
import type { Refusals } from './refusals.ts';
import type { Session } from './sessions.ts';
import { type Draft, openDraft } from './state-engine.ts';
import { changeOf, resultText, type StateBounds } from './change.ts';
import { entryOf, recordOf } from './trace.ts';

/** Yields promises only; whoever drives it sends back what they settled to. */
export type Step<T> = Generator<PromiseLike<unknown>, T, unknown>;

export interface TurnParts extends Surroundings {
  readonly batch: Batch;
  /** For refusals: they say nothing about state, so they need not wait for a commit. */
  readonly refusals: Refusals;
  readonly bounds: StateBounds;
  readonly log: Logger;
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
        activation.audience.disconnect(item.session);
        return yield* this.#hook(activation, 'onDisconnect', item.session);
      case 'activate':
        return yield* this.#hook(activation, 'onActivate', undefined);
      case 'deactivate':
        return yield* this.#hook(activation, 'onDeactivate', undefined);
    }
  }

  *#call(activation: Activation, item: CallItem): Step<void> {
    const { definition, audience } = activation;
    const { clock } = this.#parts;
    let draft: Draft | undefined;
    let context: TurnContext | undefined;
    try {
      if (item.stored !== undefined) {
        const stored = (yield item.stored) as { args: string; outcome: StoredOutcome } | undefined;
        if (stored !== undefined) return this.#answers.repeat(activation, item, stored);
      }
      if (clock.monotonic() > item.deadlineMs)
        throw new AppError('DEADLINE', 'The deadline passed before the call started');
      const method = definition.methods.get(item.method);
      if (method === undefined) throw new AppError('UNKNOWN_METHOD', `Unknown method: ${item.method}`);
      const input = yield* validateInput(method.input, item.method, item.input);
      const ctx = definition.middleware.length === 0 ? {} : yield* runMiddleware(activation, item.session, item.method);
      if (!audience.isConnected(item.session)) yield* this.#connect(activation, item.session);
      draft = openDraft(activation.state);
      context = new TurnContext(activation, draft.root, input, ctx, item.session.info, this.#parts);
      const returned = method.handler(context);
      // Text first: a returned draft can be read only while it lives.
      const result = resultText(item.method, isThenable(returned) ? yield returned : returned, this.#parts.bounds);
      const ended = draft;
      draft = undefined;
      yield* this.#finish(activation, ended, context, item, result);
    } catch (thrown) {
      draft?.discard();
      if (thrown instanceof AppError) context?.abort(thrown);
      this.#answers.fail(activation, item, thrown, context !== undefined);
    }
  }

  /** Makes a draft the state and stages everything that the turn did. */
  *#finish(
    activation: Activation,
    draft: Draft,
    context: TurnContext,
    item: CallItem | undefined,
    result: string,
  ): Step<void> {
    const { batch, clock, bounds } = this.#parts;
    const { audience, definition } = activation;
    let finished: ReturnType<Draft['finish']> | undefined;
    try {
      const pending = context.events();
      const events = isThenable(pending) ? ((yield pending) as Awaited<typeof pending>) : pending;
      finished = draft.finish();
      const change = changeOf(activation, finished, audience.of('state').size > 0, bounds);
      if (change.kind !== 'none' && !batch.writable && definition.durability !== 'memory') {
        throw new AppError('READ_ONLY', 'The store cannot be written now; nothing changed', { retryAfterMs: 1000 });
      }
      const call = item === undefined ? undefined : recordOf(item, { kind: 'ok', result }, clock.now());
      batch.stage(activation, entryOf(activation, change.entry, call));
      if (change.kind !== 'none') {
        activation.state = finished.next;
        activation.seq += 1;
        activation.needsFullWrite = false;
        activation.stateText = change.stateText;
        activation.stateChars = change.stateChars;
        if (change.patchText !== '') {
          batch.publish(
            audience.gateways('state'),
            audience.topics.state,
            statePatch(activation.head, change.patchText),
          );
        }
      }
      for (const event of events) this.#sendEvent(activation, event);
      if (item === undefined) return;
      const durable = definition.durability === 'durable';
      batch.reply(item, result, durable);
      if (call === undefined) return;
      for (const waiter of activation.outcomes.end(call.key, call.outcome, call.atMs))
        batch.reply(waiter, result, durable);
    } finally {
      if (finished === undefined) draft.discard();
    }
  }

  #sendEvent(
    activation: Activation,
    pending: { event: string; payload: string; target: { kind: string; ids?: ReadonlySet<string> } },
  ): void {
    const { audience, head } = activation;
    const text = eventMessage(head, pending.event, pending.payload);
    const { kind, ids } = pending.target;
    if (kind === 'all') return this.#parts.batch.publish(audience.gateways('event'), audience.topics.event, text);
    for (const session of audience.of('event')) {
      if (ids?.has(session.info.clientId) === (kind === 'to')) this.#parts.batch.send(session, text);
    }
  }

  *#read(activation: Activation, item: { session: Session; call: number }): Step<void> {
    const { batch, refusals } = this.#parts;
    try {
      yield* allowSubscription(activation, item.session);
      batch.stage(activation, undefined);
      batch.reply(item, activation.text(), activation.definition.durability === 'durable', activation.seq);
    } catch (thrown) {
      refusals.call(item, handlerError(thrown, false, this.#parts, activation, 'reading the state'));
    }
  }

  *#subscribe(activation: Activation, session: Session, stream: Stream): Step<void> {
    const { batch, refusals } = this.#parts;
    if (session.ended) return;
    try {
      yield* allowSubscription(activation, session);
      if (!activation.audience.isConnected(session)) yield* this.#connect(activation, session);
      if (session.ended) return;
      activation.audience.subscribe(session, stream);
      batch.stage(activation, undefined);
      batch.join(session, activation.audience.topics[stream]);
      if (stream === 'state') batch.send(session, stateSnapshot(activation.head, activation.text()));
    } catch (thrown) {
      const { type, id } = activation.address;
      refusals.subscription(
        session,
        stream,
        type,
        id,
        handlerError(thrown, false, this.#parts, activation, `${stream} subscription`),
      );
    }
  }

  #unsubscribe(activation: Activation, session: Session, stream: Stream): void {
    activation.audience.unsubscribe(session, stream);
    this.#parts.batch.stage(activation, undefined);
    this.#parts.batch.leave(session, activation.audience.topics[stream]);
  }

  /** The first allowed contact of a session with this actor. */
  *#connect(activation: Activation, session: Session): Step<void> {
    if (session.info.kind !== 'ws' || session.ended) return;
    activation.audience.connect(session);
    session.actors.add(activation.key);
    this.#parts.batch.stageConnected(activation, session);
    yield* this.#hook(activation, 'onConnect', session);
  }

  /** A hook is a turn of its own. One that throws changes nothing and is logged: nobody waits for it. */
  *#hook(
    activation: Activation,
    name: 'onActivate' | 'onDeactivate' | 'onConnect' | 'onDisconnect',
    session: Session | undefined,
  ): Step<void> {
    const hook: AnyHandler | undefined = activation.definition[name];
    if (hook === undefined) return;
    let draft: Draft | undefined = openDraft(activation.state);
    const context = new TurnContext(activation, draft.root, undefined, {}, session?.info, this.#parts);
    try {
      const returned = hook(context);
      if (isThenable(returned)) yield returned;
      const ended = draft;
      draft = undefined;
      yield* this.#finish(activation, ended, context, undefined, '');
    } catch (thrown) {
      draft?.discard();
      if (thrown instanceof AppError) context.abort(thrown);
      internalError(thrown, this.#parts, activation, name);
    }
  }
}
