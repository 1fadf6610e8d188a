/**
 * The way into a shard: frames of the gateways are taken apart, checked against the bounds, and dealt out to mailboxes.
 *
 *   frame ─▶ open, end ─▶ sessions
 *         └▶ call, read, subscribe ─▶ known key? bounds? ─▶ mailbox of the actor, which is loaded if need be
 *
 * Invariant: every call that comes in here is answered exactly once, by its turn or by a refusal.
 */
import type { AppDefinition } from '../actor/definition.ts';
import type { Clock } from '../host/clock.ts';
import { argsFingerprint } from '../host/fingerprint.ts';
import { type Address, addressKey } from '../protocol/address.ts';
import { decodeInbound, type Inbound as Envelope, inboundOp, type Stream } from '../protocol/envelope.ts';
import { AppError } from '../protocol/errors.ts';
import type { Limits } from '../protocol/limits.ts';
import type { Keeper } from '../storage/contract.ts';
import type { Journal } from '../storage/journal.ts';
import type { ShardLink } from '../transport/contract.ts';
import type { Activation } from './activation.ts';
import type { Activations } from './activations.ts';
import { type Answers, keyReused } from './answers.ts';
import type { Audiences } from './audience.ts';
import { Lookup } from './mailbox.ts';
import type { Refusals } from './refusals.ts';
import { type Session, Sessions } from './sessions.ts';

export interface InboundParts {
  readonly app: AppDefinition;
  readonly journal: Journal;
  readonly keeper: Keeper;
  readonly link: ShardLink;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly audiences: Audiences;
  readonly activations: Activations;
  readonly answers: Answers;
  readonly refusals: Refusals;
  /** Something may have been refused or answered: it must be sent with the tick. */
  readonly schedule: () => void;
}

export class Inbound {
  readonly #parts: InboundParts;
  readonly #sessions: Sessions;

  constructor(parts: InboundParts) {
    this.#parts = parts;
    this.#sessions = new Sessions(parts.link.gateways);
  }

  /** One frame of a gateway, envelope by envelope. */
  receive(frame: string, gateway: number): void {
    for (const envelope of decodeInbound(frame)) this.#handle(envelope, gateway);
    this.#parts.schedule();
  }

  #handle(envelope: Envelope, gateway: number): void {
    const [op, number] = envelope;
    if (op === inboundOp.open) return this.#sessions.open(gateway, number, envelope[2]);
    const session = this.#sessions.get(gateway, number);
    // Its end was said before: nobody is there to answer.
    if (session === undefined) return;
    switch (op) {
      case inboundOp.call:
        return this.#call(session, envelope);
      case inboundOp.read:
        return this.#read(session, envelope);
      case inboundOp.subscribe:
      case inboundOp.unsubscribe:
        return this.#subscription(session, op, envelope[2], envelope[3], envelope[4]);
      case inboundOp.end:
        return this.#end(gateway, number);
    }
  }

  #call(session: Session, envelope: Extract<Envelope, readonly [typeof inboundOp.call, ...unknown[]]>): void {
    const [, , call, type, id, method, key, deadlineMs, input] = envelope;
    try {
      const activation = this.#find(session, type, id, method);
      const args = key === '' ? '' : argsFingerprint(method, input);
      if (key !== '' && this.#knownCall(activation, { session, call, key }, args)) return;
      this.#admit(activation, session);
      const lookup = key === '' ? undefined : this.#lookUp(activation, key);
      if (key !== '') activation.outcomes.start(key, args);
      const deadline = deadlineMs === 0 ? Number.POSITIVE_INFINITY : this.#parts.clock.monotonic() + deadlineMs;
      this.#parts.activations.push(activation, {
        kind: 'call',
        session,
        call,
        key,
        method,
        input,
        args,
        lookup,
        deadlineMs: deadline,
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

  /** Asks the keeper for the outcome, unless memory knows that there is none. */
  #lookUp(activation: Activation, key: string): Lookup | undefined {
    if (activation.outcomes.complete || activation.definition.durability === 'memory') return undefined;
    return new Lookup(this.#parts.keeper.outcome(activation.address, key));
  }

  /** A repeat of a call that runs or ended in this activation's life: it waits, or gets the stored outcome. */
  #knownCall(activation: Activation, item: { session: Session; call: number; key: string }, args: string): boolean {
    const known = activation.outcomes.get(item.key, this.#parts.clock.now());
    if (known === undefined) return false;
    if (known.args !== args) throw keyReused;
    if (known.kind === 'running') {
      if (known.waiters.length >= this.#parts.limits.mailboxCallsMax)
        throw overloaded('Too many repeats of one call wait for it');
      known.waiters.push(item);
    } else {
      this.#parts.answers.stored(activation, item, args, known);
    }
    return true;
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

  #subscription(session: Session, op: number, type: string, id: string, stream: Stream): void {
    const kind = op === inboundOp.subscribe ? 'subscribe' : 'unsubscribe';
    const address = { tenant: session.info.tenant, type, id };
    try {
      // Nothing is loaded for somebody who leaves.
      if (kind === 'unsubscribe' && !this.#parts.activations.has(address))
        return this.#unsubscribe(address, session, stream);
      const activation = this.#parts.activations.find(address);
      this.#admit(activation, session);
      this.#parts.activations.push(activation, { kind, session, stream });
    } catch (error) {
      if (kind === 'subscribe') this.#parts.refusals.subscription(session, stream, type, id, error);
      else this.#unsubscribe(address, session, stream);
    }
  }

  /** At once, past the mailbox: its actor is not in memory, or has too much to do. */
  #unsubscribe(address: Address, session: Session, stream: Stream): void {
    const audience = this.#parts.audiences.find(addressKey(address));
    if (audience === undefined) return;
    audience.unsubscribe(session, stream);
    this.#parts.refusals.outputs.leave(session, audience.topics[stream]);
  }

  /** The socket is gone: out of every audience, and `onDisconnect` once per actor. */
  #end(gateway: number, number: number): void {
    const session = this.#sessions.end(gateway, number);
    if (session === undefined) return;
    for (const key of session.actors) {
      const [tenant, type, id] = key.split('\n') as [string, string, string];
      if (this.#parts.app.actors.get(type)?.onDisconnect === undefined) this.#leave(key, session);
      else this.#parts.activations.deliver({ tenant, type, id }, { kind: 'disconnect', session });
    }
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

function overloaded(message: string): AppError {
  return new AppError('OVERLOADED', message, { retryAfterMs: 250 });
}
