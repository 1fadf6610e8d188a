/**
 * A shard: one thread's actors. Frames from the gateways come in here and are dealt out to mailboxes.
 *
 *   gateways ──frames──▶ Shard ──items──▶ mailboxes ──▶ Runner ──▶ Turns ──▶ Batch ──▶ journal, keeper, gateways
 *                          └──▶ Activations (load, evict) ◀──── commit lost ────┘
 *
 * Invariants: an inbound call is answered exactly once · mailboxes, sessions and memory are bounded by `Limits`.
 */
import type { AppDefinition } from '../actor/definition.ts';
import type { Clock } from '../host/clock.ts';
import type { Logger } from '../host/log.ts';
import type { Address } from '../protocol/address.ts';
import { decodeInbound, type Inbound, inboundOp, type Stream } from '../protocol/envelope.ts';
import { argsFingerprint } from '../host/fingerprint.ts';
import { AppError } from '../protocol/errors.ts';
import type { Vitals } from '../host/vitals.ts';
import type { Limits } from '../protocol/limits.ts';
import type { Keeper } from '../storage/contract.ts';
import type { Journal } from '../storage/journal.ts';
import type { ShardLink } from '../transport/contract.ts';
import type { Activation } from './activation.ts';
import { Activations } from './activations.ts';
import { Answers, keyReused } from './answers.ts';
import { Audiences } from './audience.ts';
import { Batch, type Connection } from './batch.ts';
import { Eviction } from './eviction.ts';
import { Refusals } from './refusals.ts';
import { Runner } from './runner.ts';
import { type Session, Sessions } from './sessions.ts';
import { Turns } from './turn.ts';

export interface ShardParts {
  readonly app: AppDefinition;
  readonly journal: Journal;
  readonly keeper: Keeper;
  readonly link: ShardLink;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly vitals: Vitals;
  readonly log: Logger;
}

export class Shard {
  readonly #parts: ShardParts;
  readonly #sessions: Sessions;
  readonly #audiences = new Audiences();
  readonly #refusals: Refusals;
  readonly #batch: Batch;
  readonly #answers: Answers;
  readonly #runner: Runner;
  readonly #activations: Activations;
  readonly #eviction: Eviction;
  readonly #housekeeping: NodeJS.Timeout;

  constructor(parts: ShardParts) {
    this.#parts = parts;
    const { limits, clock, log, link, keeper, journal } = parts;
    this.#sessions = new Sessions(link.gateways);
    this.#refusals = new Refusals(link);
    this.#batch = new Batch({
      journal,
      keeper,
      link,
      log,
      onLost: (lost, connected) => this.#lost(lost, connected),
      onAdopted: () => this.#dropWhere(() => true),
    });
    this.#answers = new Answers({ batch: this.#batch, refusals: this.#refusals, clock, log });
    const turns = new Turns(
      { clock, log, batch: this.#batch, refusals: this.#refusals, bounds: limits, turnEventsMax: limits.turnEventsMax },
      this.#answers,
    );
    this.#runner = new Runner({
      turns,
      batch: this.#batch,
      refusals: this.#refusals,
      vitals: parts.vitals,
      turnMs: limits.turnMs,
      batchTurnsMax: limits.batchTurnsMax,
      monotonic: clock.monotonic,
      loading: () => this.#activations.loading,
      onDeactivated: (activation) => this.#activations.deactivated(activation),
    });
    this.#activations = new Activations({
      ...parts,
      audiences: this.#audiences,
      batch: this.#batch,
      refusals: this.#refusals,
      runner: this.#runner,
    });
    this.#eviction = new Eviction(this.#activations, limits);
    keeper.onSynced((journalSeq) => journal.forget(journalSeq));
    keeper.onQuarantined((address) => this.#dropWhere((actor) => isWithin(actor, address)));
    link.onFrame((frame, gateway) => this.#receive(frame, gateway));
    this.#housekeeping = setInterval(() => this.#keepHouse(), 1000);
    this.#housekeeping.unref();
  }

  /** Settles when everything that was accepted has ended and was committed. Calls that come later are still served. */
  drain(): Promise<void> {
    return this.#runner.quiet();
  }

  /** Takes every actor out of memory, each with its `onDeactivate`, and commits what those did. */
  async deactivateAll(): Promise<void> {
    await this.drain();
    for (const activation of this.#activations.list()) this.#activations.evict(activation);
    await this.drain();
  }

  /** Lets go of journal, keeper and link. What the keeper holds by now is not replayed at the next start. */
  async stop(): Promise<void> {
    clearInterval(this.#housekeeping);
    await this.drain();
    this.#parts.journal.close();
    this.#parts.keeper.close();
    this.#parts.link.close();
  }

  // What gateways say.

  #receive(frame: string, gateway: number): void {
    for (const envelope of decodeInbound(frame)) this.#handle(envelope, gateway);
    this.#runner.schedule();
  }

  #handle(envelope: Inbound, gateway: number): void {
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

  #call(session: Session, envelope: Extract<Inbound, readonly [typeof inboundOp.call, ...unknown[]]>): void {
    const [, , call, type, id, method, key, deadlineMs, input] = envelope;
    try {
      const activation = this.#activations.find({ tenant: session.info.tenant, type, id });
      const item = { session, call, key, method, input };
      const args = key === '' ? '' : argsFingerprint(method, input);
      if (key !== '' && this.#knownCall(activation, item, args)) return;
      this.#admit(activation, session);
      const stored =
        key === '' || activation.outcomes.complete ? undefined : this.#parts.keeper.outcome(activation.address, key);
      // Awaited by the turn; until then a rejection must not count as unhandled.
      stored?.catch(() => undefined);
      if (key !== '') activation.outcomes.start(key, args);
      const deadline = deadlineMs === 0 ? Number.POSITIVE_INFINITY : this.#parts.clock.monotonic() + deadlineMs;
      this.#activations.push(activation, { kind: 'call', ...item, args, stored, deadlineMs: deadline });
    } catch (error) {
      this.#refusals.call({ session, call }, error);
    }
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
      this.#batch.stage(activation, undefined);
      this.#answers.stored(activation, item, args, known);
    }
    return true;
  }

  #read(session: Session, envelope: Extract<Inbound, readonly [typeof inboundOp.read, ...unknown[]]>): void {
    const [, , call, type, id] = envelope;
    try {
      const activation = this.#activations.find({ tenant: session.info.tenant, type, id });
      this.#admit(activation, session);
      this.#activations.push(activation, { kind: 'read', session, call });
    } catch (error) {
      this.#refusals.call({ session, call }, error);
    }
  }

  #subscription(session: Session, op: number, type: string, id: string, stream: Stream): void {
    const kind = op === inboundOp.subscribe ? 'subscribe' : 'unsubscribe';
    try {
      const activation = this.#activations.find({ tenant: session.info.tenant, type, id });
      if (kind === 'subscribe') this.#admit(activation, session);
      this.#activations.push(activation, { kind, session, stream });
    } catch (error) {
      this.#refusals.subscription(session, stream, type, id, error);
    }
  }

  /** The socket is gone: out of every audience, and `onDisconnect` once per actor. */
  #end(gateway: number, number: number): void {
    const session = this.#sessions.end(gateway, number);
    if (session === undefined) return;
    for (const key of session.actors) {
      const [tenant, type, id] = key.split('\n') as [string, string, string];
      if (this.#parts.app.actors.get(type)?.onDisconnect === undefined) this.#audiences.leave(key, session);
      else this.#activations.deliver({ tenant, type, id }, { kind: 'disconnect', session });
    }
  }

  // When the store fails or closes something off: out of memory, and again from disk.

  #lost(activations: ReadonlySet<Activation>, connected: readonly Connection[]): void {
    // Their onConnect was lost with the commit: the next contact runs it again.
    for (const { activation, session } of connected) {
      activation.audience.disconnect(session);
      session.actors.delete(activation.key);
    }
    for (const activation of activations) this.#activations.drop(activation);
  }

  #dropWhere(matches: (address: Address) => boolean): void {
    for (const activation of this.#activations.list())
      if (matches(activation.address)) this.#activations.drop(activation);
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

  #keepHouse(): void {
    if (!this.#batch.writable) this.#batch.probe();
    else if (this.#batch.empty) this.#batch.flush();
    this.#eviction.sweep(this.#parts.clock.monotonic());
  }
}

function overloaded(message: string): AppError {
  return new AppError('OVERLOADED', message, { retryAfterMs: 250 });
}

/** Is this actor the one, or of the tenant, that was closed off? */
function isWithin(actor: Address, closed: Address): boolean {
  return (
    actor.tenant === closed.tenant && (closed.type === '' || (actor.type === closed.type && actor.id === closed.id))
  );
}
