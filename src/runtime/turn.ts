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
import type { SchemaResult } from '../actor/schema.ts';
import type { Address } from '../protocol/address.ts';
import { AppError } from '../protocol/errors.ts';
import { eventMessage, statePatch } from '../protocol/messages.ts';
import { noTrace } from '../protocol/trace.ts';
import type { Keeper } from '../storage/contract.ts';
import { type Activation, refuseDead } from './activation.ts';
import { accepted, runMiddleware, validate } from './admission.ts';
import type { Answers } from './answers.ts';
import type { Batch } from './batch.ts';
import type { Lanes } from './audience.ts';
import { changeOf, resultText, stockPatches, type StateBounds } from './change.ts';
import { type Surroundings, TurnContext } from './context.ts';
import { faultOf, internalError } from './faults.ts';
import type { Outputs } from './outputs.ts';
import type { CallItem, MailboxItem } from './mailbox.ts';
import type { ShardMeters } from './meters.ts';
import { keptEvent } from './missed.ts';
import type { Refusals } from './refusals.ts';
import type { Repeats } from './repeats.ts';
import { type Session, visitorOf } from './sessions.ts';
import { type Draft, openDraft } from './state-engine.ts';
import { Subscribing } from './subscribing.ts';

/** Yields promises only; whoever drives it sends back what they settled to. */
export type Step<T> = Generator<PromiseLike<unknown>, T, unknown>;

export interface TurnParts extends Surroundings {
  readonly meters: ShardMeters;
  readonly batch: Batch;
  readonly repeats: Repeats;
  /** For what was missed before an actor came into memory. */
  readonly keeper: Keeper;
  /** For refusals: they say nothing about state, so they need not wait for a commit. */
  readonly refusals: Refusals;
  readonly bounds: StateBounds;
  /** Patches are kept for this long after the last subscriber left. */
  readonly sessionGraceMs: number;
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
  readonly #subscribing: Subscribing;

  constructor(parts: TurnParts, answers: Answers) {
    this.#parts = parts;
    this.#answers = answers;
    this.#subscribing = new Subscribing({
      ...parts,
      answers,
      connect: (activation, session) => this.#connect(activation, session),
    });
  }

  /** The whole of one item. Never throws. */
  run(activation: Activation, item: MailboxItem): Step<void> {
    return item.kind === 'call' ? this.#call(activation, item) : this.#other(activation, item);
  }

  *#other(activation: Activation, item: Exclude<MailboxItem, CallItem>): Step<void> {
    switch (item.kind) {
      case 'read':
        return yield* this.#subscribing.read(activation, item);
      case 'subscribe':
        return yield* this.#subscribing.subscribe(activation, item);
      case 'unsubscribe':
        return this.#subscribing.unsubscribe(activation, item.session, item.stream);
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
      if (item.key !== '' || item.numbered !== undefined) {
        const outcome = yield* this.#parts.repeats.find(activation, item);
        if (outcome !== undefined) return this.#answers.repeat(activation, item, outcome);
      }
      if (item.deadlineMs < Number.POSITIVE_INFINITY && this.#parts.clock.monotonic() > item.deadlineMs) {
        throw new AppError('DEADLINE', 'The deadline passed before the call started');
      }
      const method = definition.methods.get(item.method);
      if (method === undefined) throw new AppError('UNKNOWN_METHOD', `Unknown method: ${item.method}`);
      let input: unknown;
      if (method.input !== undefined) {
        const result = validate(method.input, item.method, item.input);
        input = accepted(isThenable(result) ? ((yield result) as SchemaResult<unknown>) : result, item.method);
      }
      const ctx = definition.middleware.length === 0 ? {} : yield* runMiddleware(activation, item.session, item.method);
      if (!audience.isConnected(item.session)) yield* this.#connect(activation, item.session);
      draft = openDraft(activation.state);
      context = new TurnContext(activation, draft.root, input, ctx, item.session.info, this.#parts, item);
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
    const watched = changed && audience.isWatched(this.#parts.sessionGraceMs);
    const change = changed ? changeOf(activation, finished, watched, this.#parts.bounds) : undefined;
    const keepsEvents = events.length > 0 && activation.definition.historyEventsMax > 0;
    if ((changed || keepsEvents) && !this.#canWrite(activation)) throw readOnly;
    const exit = this.#answers.gate(activation);
    if (change !== undefined) {
      activation.change(finished.next, change.chars);
      const { seq, epoch, patches } = activation;
      if (activation.stored) this.#parts.batch.stage(activation).change(change.patchText, watched ? seq : 0);
      if (watched) {
        this.#parts.meters.patches += 1;
        patches.add({ seq, text: change.patchText });
        publish(exit, audience.lanes.state, (full) =>
          full
            ? statePatch(head, change.patchText, { epoch, seq })
            : statePatch(head, stockPatches(activation, change.patchText), undefined),
        );
      } else patches.begin(seq);
    }
    for (const event of events) this.#sendEvent(activation, event, keepsEvents);
  }

  #sendEvent(activation: Activation, pending: PendingEvent, keep: boolean): void {
    const { event, payload, target } = pending;
    const { audience, head } = activation;
    if (keep) {
      activation.eventSeq += 1;
      const kept = keptEvent(activation.eventSeq, pending);
      activation.events.add(kept);
      this.#parts.batch.stage(activation).keepEvent(kept);
    }
    const exit = this.#answers.exitOf(activation);
    const textOf = (full: boolean): string =>
      eventMessage(head, event, payload, keep && full ? activation.eventSeq : 0);
    if (target.kind === 'all') return publish(exit, audience.lanes.event, textOf);
    const wanted = target.kind === 'to';
    const reached = Array.from(audience.of('event')).filter(({ info }) => target.ids.has(info.clientId) === wanted);
    for (const full of [true, false]) {
      const some = reached.filter(({ info }) => info.additions === full);
      if (some.length > 0) exit.sendAll(some, textOf(full));
    }
  }

  /** The first allowed contact of a session with this actor. */
  *#connect(activation: Activation, session: Session): Step<void> {
    if (session.info.kind === 'http' || session.ended) return;
    activation.audience.connect(session);
    session.actors.add(activation.key);
    const records = activation.recordsVisitors;
    const error =
      records && !this.#canWrite(activation) ? readOnly : yield* this.#hook(activation, 'onConnect', session);
    // What could not be written, or was lost because the actor was dropped, is run again by the next contact.
    if (error?.code === 'READ_ONLY' || activation.status === 'dead') activation.audience.forget(session);
    else if (records) {
      const visitor = visitorOf(session);
      activation.visitors.set(visitor.clientId, visitor);
      activation.visitSeq += 1;
      this.#parts.batch.stage(activation).enter(activation.visitSeq, visitor);
      // Only what is in the batch can be lost with it: memory keeps what its hooks did.
      this.#parts.batch.stageConnected({ activation, session });
    }
    refuseDead(activation);
  }

  *#disconnect(activation: Activation, session: Session): Step<void> {
    const { clientId } = session.info;
    activation.audience.disconnect(session);
    // Also of a type that has lost its hooks since.
    const records = activation.visitors.has(clientId);
    // It has run before: after a crash, or for a session that ended while the actor was loaded.
    if (activation.recordsVisitors && !records) return;
    const error =
      records && !this.#canWrite(activation) ? readOnly : yield* this.#hook(activation, 'onDisconnect', session);
    // What could not be written is not given up: it runs again when the store works, or on the successor.
    if (error?.code === 'READ_ONLY' || activation.status === 'dead') this.#parts.postpone(activation.address, session);
    else if (records) {
      activation.visitors.delete(clientId);
      activation.visitSeq += 1;
      this.#parts.batch.stage(activation).leave(activation.visitSeq, clientId);
      this.#parts.batch.stageDisconnected({ activation, session });
    }
  }

  /** Memory alone needs no store. */
  #canWrite(activation: Activation): boolean {
    return !activation.stored || this.#parts.isWritable(activation.address.tenant);
  }

  /** A hook is a turn of its own. One that throws changes nothing and is logged: nobody waits for it. */
  *#hook(activation: Activation, name: HookName, session: Session | undefined): Step<AppError | undefined> {
    const hook: AnyHandler | undefined = activation.definition[name];
    if (hook === undefined) return undefined;
    const draft = openDraft(activation.state);
    const context = new TurnContext(activation, draft.root, undefined, {}, session?.info, this.#parts, {
      method: name,
      trace: noTrace,
    });
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

const readOnly = new AppError('READ_ONLY', 'The store cannot be written now; nothing changed', { retryAfterMs: 1000 });

/** One text for each lane that somebody is in. */
function publish(exit: Batch | Outputs, { full, base }: Lanes, textOf: (full: boolean) => string): void {
  if (!full.empty) exit.publish(full.gateways, full.topic, textOf(true));
  if (!base.empty) exit.publish(base.gateways, base.topic, textOf(false));
}
