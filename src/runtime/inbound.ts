/**
 * The way into a shard: frames of the gateways are taken apart, checked against the bounds, and dealt out to mailboxes.
 *
 *   frame ─▶ open, detach, end, present, leave ─▶ sessions, audiences
 *         └▶ call, read, subscribe ─▶ bounds? ─▶ mailbox of the actor, which is loaded if need be
 *
 * Invariant: every call that comes in here is answered exactly once, by its turn or by a refusal.
 */
import type { AppDefinition } from '../actor/definition.ts';
import type { Clock } from '../host/clock.ts';
import { argsFingerprint } from '../host/fingerprint.ts';
import { type Address, addressKey } from '../protocol/address.ts';
import {
  decodeInbound,
  type Inbound as Envelope,
  inboundOp,
  type SessionInfo,
  type Stream,
} from '../protocol/envelope.ts';
import { AppError } from '../protocol/errors.ts';
import type { Limits } from '../protocol/limits.ts';
import { noTrace } from '../protocol/trace.ts';
import type { Journal } from '../storage/journal.ts';
import type { Activation } from './activation.ts';
import type { Activations } from './activations.ts';
import type { Audiences } from './audience.ts';
import type { Refusals } from './refusals.ts';
import type { Repeats } from './repeats.ts';
import type { Session, Sessions } from './sessions.ts';

export interface InboundParts {
  readonly app: AppDefinition;
  readonly journal: Journal;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly audiences: Audiences;
  readonly activations: Activations;
  readonly sessions: Sessions;
  readonly repeats: Repeats;
  readonly refusals: Refusals;
  /** A gateway has said which sessions it has. */
  readonly onPresent: (gateway: number) => void;
  /** Something may have been refused or answered: it must be sent with the tick. */
  readonly schedule: () => void;
}

export class Inbound {
  readonly #parts: InboundParts;

  constructor(parts: InboundParts) {
    this.#parts = parts;
  }

  /** One frame of a gateway, envelope by envelope. */
  receive(frame: string, gateway: number): void {
    for (const envelope of decodeInbound(frame)) this.#handle(envelope, gateway);
    this.#parts.schedule();
  }

  #handle(envelope: Envelope, gateway: number): void {
    const [op, number] = envelope;
    if (op === inboundOp.open) return this.#open(gateway, number, envelope[2]);
    if (op === inboundOp.present) return this.#present(gateway, envelope[2]);
    const session = this.#parts.sessions.get(gateway, number);
    if (session === undefined) return this.#orphan(envelope, gateway);
    switch (op) {
      case inboundOp.call:
        return this.#call(session, envelope);
      case inboundOp.read:
        return this.#read(session, envelope);
      case inboundOp.subscribe:
        return this.#subscribe(session, envelope);
      case inboundOp.unsubscribe:
        return this.#unsubscribe(session, envelope[2], envelope[3], envelope[4]);
      case inboundOp.detach:
        return this.#detach(session);
      case inboundOp.end:
        return this.#end(gateway, number);
      case inboundOp.leave:
        return this.#forget(gateway, number);
    }
  }

  /** Its session went on through another gateway meanwhile. The old one still counts what it sent, so it is answered. */
  #orphan(envelope: Envelope, gateway: number): void {
    const [op] = envelope;
    if (op === inboundOp.call || op === inboundOp.read)
      this.#parts.refusals.outputs.replyErrorTo(gateway, envelope[2], movedOn);
  }

  #open(gateway: number, number: number, info: SessionInfo): void {
    const { session, predecessor } = this.#parts.sessions.open(gateway, number, info);
    if (predecessor === undefined) return;
    for (const key of session.actors) this.#parts.audiences.find(key)?.succeed(predecessor, session);
  }

  /** Whoever of this gateway is not named has ended. */
  #present(gateway: number, numbers: readonly number[]): void {
    const alive = new Set(numbers);
    for (const number of this.#parts.sessions.numbers(gateway)) if (!alive.has(number)) this.#end(gateway, number);
    this.#parts.onPresent(gateway);
  }

  #call(session: Session, envelope: Extract<Envelope, readonly [typeof inboundOp.call, ...unknown[]]>): void {
    const [, , call, type, id, method, key, ack, deadlineMs, given, trace = noTrace, noInput] = envelope;
    const input = noInput === true ? undefined : given;
    try {
      const activation = this.#find(session, type, id, method);
      const deadline = deadlineMs === 0 ? Number.POSITIVE_INFINITY : this.#parts.clock.monotonic() + deadlineMs;
      const { address } = activation;
      const { activations, repeats } = this.#parts;
      const numbered = ack < 0 ? undefined : repeats.place(activation, key, ack);
      this.#admit(activation, session);
      numbered?.client.enter();
      const isKeyed = numbered === undefined && key !== '';
      activations.push(activation, {
        kind: 'call',
        session,
        call,
        address,
        method,
        input,
        key: isKeyed ? key : '',
        numbered,
        args: isKeyed ? argsFingerprint(method, input) : '',
        deadlineMs: deadline,
        lookup: isKeyed ? repeats.lookUp(activation, key) : undefined,
        trace,
      });
    } catch (error) {
      this.#parts.refusals.call({ session, call }, error);
    }
  }

  /** Most callers speak with one actor for long: the last one is found without a look into the table. */
  #find(session: Session, type: string, id: string, method: string): Activation {
    const { recent } = session;
    if (recent !== undefined && recent.status !== 'dead' && recent.address.id === id && recent.address.type === type) {
      if (recent.definition.methods.has(method)) return recent;
    }
    const address = { tenant: session.info.tenant, type, id };
    // Nothing is loaded for a call that must fail; in memory it takes its turn, so that answers come in order.
    if (this.#parts.app.actors.get(type)?.methods.has(method) === false && !this.#parts.activations.has(address)) {
      throw new AppError('UNKNOWN_METHOD', `Unknown method: ${method}`);
    }
    const activation = this.#parts.activations.find(address);
    session.recent = activation;
    return activation;
  }

  #read(session: Session, envelope: Extract<Envelope, readonly [typeof inboundOp.read, ...unknown[]]>): void {
    const [, , call, type, id] = envelope;
    try {
      const activation = this.#parts.activations.find({ tenant: session.info.tenant, type, id });
      this.#admit(activation, session);
      this.#parts.activations.push(activation, { kind: 'read', session, call });
    } catch (error) {
      this.#parts.refusals.call({ session, call }, error);
    }
  }

  #subscribe(session: Session, envelope: Extract<Envelope, readonly [typeof inboundOp.subscribe, ...unknown[]]>): void {
    const [, , type, id, stream, epoch, seq] = envelope;
    try {
      const activation = this.#parts.activations.find({ tenant: session.info.tenant, type, id });
      this.#admit(activation, session);
      const since = epoch === undefined || seq === undefined || !session.info.additions ? undefined : { epoch, seq };
      this.#parts.activations.push(activation, { kind: 'subscribe', session, stream, since, lost: session.lost });
    } catch (error) {
      this.#parts.refusals.subscription(session, stream, type, id, error);
    }
  }

  #unsubscribe(session: Session, type: string, id: string, stream: Stream): void {
    const address = { tenant: session.info.tenant, type, id };
    try {
      // Nothing is loaded for somebody who leaves.
      if (!this.#parts.activations.has(address)) return this.#unsubscribeNow(address, session, stream);
      const activation = this.#parts.activations.find(address);
      this.#admit(activation, session);
      this.#parts.activations.push(activation, { kind: 'unsubscribe', session, stream });
    } catch {
      this.#unsubscribeNow(address, session, stream);
    }
  }

  /** Past the mailbox: its actor is not in memory, or has too much to do. */
  #unsubscribeNow(address: Address, session: Session, stream: Stream): void {
    const audience = this.#parts.audiences.find(addressKey(address));
    if (audience === undefined) return;
    audience.unsubscribe(session, stream);
    this.#parts.refusals.outputs.leave(session, audience.laneOf(session, stream).topic);
  }

  /** Its connection is lost: nothing is sent to it, and what waits of its subscriptions is moot. It may come back. */
  #detach(session: Session): void {
    session.lost += 1;
    for (const key of session.actors) this.#parts.audiences.find(key)?.detach(session);
  }

  /** The client is gone: out of every audience, and `onDisconnect` once per actor. */
  #end(gateway: number, number: number): void {
    const session = this.#parts.sessions.end(gateway, number);
    if (session === undefined) return;
    for (const key of session.actors) {
      const [tenant, type, id] = key.split('\n') as [string, string, string];
      const definition = this.#parts.app.actors.get(type);
      // Also without `onDisconnect`: what is on record of the visit must go.
      if (definition?.onDisconnect === undefined && definition?.onConnect === undefined) this.#leave(key, session);
      else this.#parts.activations.deliver({ tenant, type, id }, { kind: 'disconnect', session });
    }
  }

  /** Its actors are another process's now, with all who are connected to them: no hook runs, and nothing is written. */
  #forget(gateway: number, number: number): void {
    const session = this.#parts.sessions.end(gateway, number);
    if (session === undefined) return;
    for (const key of session.actors) this.#leave(key, session);
  }

  /** Out of an audience whose actor need not be told. */
  #leave(key: string, session: Session): void {
    this.#parts.audiences.leave(key, session);
    if (!this.#parts.activations.hasKey(key)) this.#parts.audiences.release(key);
  }

  #admit(activation: Activation, session: Session): void {
    const { limits, journal } = this.#parts;
    if (activation.mailbox.size >= limits.mailboxCallsMax)
      throw overloaded(`The mailbox of ${activation.address.type} "${activation.address.id}" is full`);
    if (journal.unsyncedBytes > limits.journalBytesMax)
      throw overloaded('The journal is full: tenant files cannot be written fast enough');
    if (session.actors.size >= limits.connectionActorsMax && !session.actors.has(activation.key)) {
      throw new AppError('QUOTA', `One connection may be with at most ${limits.connectionActorsMax} actors`, {
        retryAfterMs: 1000,
      });
    }
  }
}

const movedOn = new AppError(
  'UNKNOWN',
  'The client came back on another connection; repeat it with the same key',
).toBody();

function overloaded(message: string): AppError {
  return new AppError('OVERLOADED', message, { retryAfterMs: 250 });
}
