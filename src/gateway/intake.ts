/**
 * The way in: what clients ask becomes envelopes, gathered per shard and sent as one frame per tick.
 *
 *   connection or HTTP ── call, read, subscribe ──▶ bounds ──▶ InboundFrame per shard ── setImmediate ──▶ link
 *
 * Invariants: a call past a bound is refused here and now, without a hop · a shard hears `open` before anything else of
 * a session, and `end` last · envelopes of one session to one shard keep their order.
 */
import type { Clock } from '../host/clock.ts';
import { inboundOp, InboundFrame, type SessionInfo, type Stream } from '../protocol/envelope.ts';
import { AppError, type ErrorBody } from '../protocol/errors.ts';
import type { Limits } from '../protocol/limits.ts';
import { shardOf } from '../protocol/placement.ts';
import type { GatewayLink } from '../transport/contract.ts';
import type { Principal } from './auth.ts';
import type { Pending, Waiter } from './pending.ts';
import { Session, type TenantLoad } from './session.ts';

export interface Call {
  readonly actor: string;
  readonly actorId: string;
  readonly method: string;
  readonly key: string;
  readonly deadlineMs: number;
  readonly input: unknown;
  /** Length of the text that the call came in, to bound the frame that it goes on in. */
  readonly chars: number;
}

/** A frame is sent before the tick ends when it holds this much: structured clone of strings blocks both threads. */
const frameCharsMax = 1024 * 1024;

export class Intake {
  readonly #link: GatewayLink;
  readonly #limits: Limits;
  readonly #pending: Pending;
  readonly #clock: Clock;
  readonly #frames: { readonly frame: InboundFrame; chars: number }[];
  readonly #tenants = new Map<string, TenantLoad>();
  #nextSession = 1;
  #flushPlanned = false;

  constructor(link: GatewayLink, pending: Pending, limits: Limits, clock: Clock) {
    this.#link = link;
    this.#limits = limits;
    this.#pending = pending;
    this.#clock = clock;
    this.#frames = Array.from({ length: link.shards }, () => ({ frame: new InboundFrame(), chars: 0 }));
  }

  get tenants(): number {
    return this.#tenants.size;
  }

  openSession(principal: Principal, kind: SessionInfo['kind']): Session {
    const { tenant, userId, claims } = principal;
    const load = this.#tenants.get(tenant) ?? { calls: 0, sessions: 0 };
    this.#tenants.set(tenant, load);
    load.sessions += 1;
    return new Session(this.#nextSession++, { tenant, clientId: this.#clock.id(), userId, claims, kind }, load);
  }

  /** The client is gone: shards hear it now. Its pending calls are answered to nobody. */
  endSession(session: Session): void {
    session.ending = true;
    session.ended = true;
    for (const shard of session.shards) this.#add(shard, 16).add([inboundOp.end, session.number]);
    session.shards.clear();
    session.load.sessions -= 1;
    this.#forgetTenant(session);
  }

  /** No new calls will come: shards hear of the end when the last one is answered. */
  retireSession(session: Session): void {
    session.ending = true;
    if (session.calls === 0) this.endSession(session);
  }

  /** The refusal, or undefined when the call is on its way and `waiter` will hear of it. */
  call(session: Session, call: Call, waiter: Waiter): ErrorBody | undefined {
    const { actor, actorId, method, key, deadlineMs, input, chars } = call;
    const shard = shardOf(session.info.tenant, actor, actorId, this.#link.shards);
    const refusal = this.#refusal(session, shard);
    if (refusal !== undefined) return refusal;
    const frame = this.#frameFor(session, shard, chars);
    const number = this.#pending.add(waiter, session, shard);
    frame.addCall(session.number, number, actor, actorId, method, key, deadlineMs, input);
    return undefined;
  }

  read(session: Session, actor: string, actorId: string, waiter: Waiter): ErrorBody | undefined {
    const shard = shardOf(session.info.tenant, actor, actorId, this.#link.shards);
    const refusal = this.#refusal(session, shard);
    if (refusal !== undefined) return refusal;
    const frame = this.#frameFor(session, shard, 0);
    const number = this.#pending.add(waiter, session, shard);
    frame.add([inboundOp.read, session.number, number, actor, actorId]);
    return undefined;
  }

  subscription(session: Session, on: boolean, actor: string, actorId: string, stream: Stream): void {
    const shard = shardOf(session.info.tenant, actor, actorId, this.#link.shards);
    const op = on ? inboundOp.subscribe : inboundOp.unsubscribe;
    this.#frameFor(session, shard, 0).add([op, session.number, actor, actorId, stream]);
  }

  /** Called after each answer: what was only waiting for it goes. */
  answered(session: Session): void {
    if (!session.ending || session.calls > 0) return;
    if (session.ended) this.#forgetTenant(session);
    else this.endSession(session);
  }

  #refusal(session: Session, shard: number): ErrorBody | undefined {
    const { connectionCallsMax, tenantCallsMax, shardCallsMax } = this.#limits;
    if (session.info.kind === 'ws' && session.calls >= connectionCallsMax) return connectionBusy;
    if (session.load.calls >= tenantCallsMax) return tenantBusy;
    if (this.#pending.shardCalls[shard]! >= shardCallsMax) return serverBusy;
    return undefined;
  }

  #frameFor(session: Session, shard: number, chars: number): InboundFrame {
    if (session.shards.has(shard)) return this.#add(shard, chars);
    session.shards.add(shard);
    const frame = this.#add(shard, chars);
    frame.add([inboundOp.open, session.number, session.info]);
    return frame;
  }

  #add(shard: number, chars: number): InboundFrame {
    const to = this.#frames[shard]!;
    if (to.chars + chars > frameCharsMax) this.#send(shard);
    to.chars += chars + envelopeChars;
    if (!this.#flushPlanned) {
      this.#flushPlanned = true;
      setImmediate(() => this.#flush());
    }
    return to.frame;
  }

  #flush(): void {
    this.#flushPlanned = false;
    for (let shard = 0; shard < this.#frames.length; shard += 1) this.#send(shard);
  }

  #send(shard: number): void {
    const from = this.#frames[shard]!;
    const frame = from.frame.take();
    from.chars = 0;
    if (frame !== undefined) this.#link.send(shard, frame);
  }

  #forgetTenant(session: Session): void {
    const { load } = session;
    if (load.sessions === 0 && load.calls === 0) this.#tenants.delete(session.info.tenant);
  }
}

/** What an envelope adds to its text, roughly. */
const envelopeChars = 64;

// Made once: under overload these are the hot path.
const connectionBusy = overloaded('Too many calls in flight on this connection');
const tenantBusy = overloaded('Too many calls in flight');
const serverBusy = overloaded('The server is busy');

function overloaded(message: string): ErrorBody {
  return new AppError('OVERLOADED', message, { retryAfterMs: 100 }).toBody();
}
