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
import type { CallFacts, Pending, Waiter } from './pending.ts';
import type { PoisonCalls } from './poison.ts';
import { Session, type Subscription, type TenantLoad } from './session.ts';

export interface Call extends CallFacts {
  readonly deadlineMs: number;
  /** Length of the text that the call came in, to bound the frame that it goes on in. */
  readonly chars: number;
}

type SubscriptionOp = typeof inboundOp.subscribe | typeof inboundOp.unsubscribe;

/** A frame is sent before the tick ends when it holds this much: structured clone of strings blocks both threads. */
const frameCharsMax = 1024 * 1024;
/**
 * Envelopes after which a frame is sent before the tick ends, so that the shard begins while this thread still reads:
 * otherwise the two work in turns, each idle for half of the time.
 */
const frameCallsMax = 64;

export class Intake {
  readonly #link: GatewayLink;
  readonly #limits: Limits;
  readonly #pending: Pending;
  readonly #clock: Clock;
  readonly #frames: { readonly frame: InboundFrame; chars: number }[];
  readonly #tenants = new Map<string, TenantLoad>();
  /** Shards whose thread died and whose successor is not there yet. */
  readonly #away = new Set<number>();
  /** How many threads each shard has had. */
  readonly #lives: number[];
  readonly #poison: PoisonCalls;
  #nextSession = 1;
  #flushPlanned = false;

  constructor(link: GatewayLink, pending: Pending, poison: PoisonCalls, limits: Limits, clock: Clock) {
    this.#link = link;
    this.#poison = poison;
    this.#lives = Array.from({ length: link.shards }, () => 1);
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
    for (const shard of session.shards.keys()) this.#add(shard, 16).add([inboundOp.end, session.number]);
    session.shards.clear();
    session.subscriptions.clear();
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
    const refusal = this.#refusal(session, shard) ?? this.#poison.refusal(session.info.tenant, call);
    if (refusal !== undefined) return refusal;
    const frame = this.#frameFor(session, shard, chars);
    const number = this.#pending.add(waiter, session, shard, call);
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

  /** The refusal, or undefined when the shard will answer with a snapshot, or with nothing for events. */
  subscription(session: Session, on: boolean, actor: string, actorId: string, stream: Stream): ErrorBody | undefined {
    const shard = shardOf(session.info.tenant, actor, actorId, this.#link.shards);
    const name = `${stream}\n${actor}\n${actorId}`;
    if (!on) session.subscriptions.delete(name);
    else if (session.subscriptions.size >= this.#limits.connectionActorsMax * 2) return tooManySubscriptions;
    else session.subscriptions.set(name, { shard, actor, actorId, stream });
    // A shard that is away hears of it when it is back.
    if (this.#away.has(shard)) return undefined;
    this.#subscribe(session, on ? inboundOp.subscribe : inboundOp.unsubscribe, { shard, actor, actorId, stream });
    return undefined;
  }

  /** The shard's thread died: what was gathered for it is moot, and new calls to it are refused until it is back. */
  shardLost(shard: number): void {
    this.#away.add(shard);
    this.#lives[shard]! += 1;
    this.#frames[shard]!.frame.take();
    this.#frames[shard]!.chars = 0;
  }

  /** Its successor serves: it hears of the sessions anew, with what they subscribed to. */
  shardBack(shard: number, sessions: Iterable<Session>): void {
    this.#away.delete(shard);
    for (const session of sessions) {
      for (const subscription of session.subscriptions.values()) {
        if (subscription.shard === shard) this.#subscribe(session, inboundOp.subscribe, subscription);
      }
    }
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
    if (this.#away.has(shard)) return shardAway;
    return undefined;
  }

  #subscribe(session: Session, op: SubscriptionOp, { shard, actor, actorId, stream }: Subscription): void {
    this.#frameFor(session, shard, 0).add([op, session.number, actor, actorId, stream]);
  }

  #frameFor(session: Session, shard: number, chars: number): InboundFrame {
    if (session.shards.get(shard) === this.#lives[shard]) return this.#add(shard, chars);
    session.shards.set(shard, this.#lives[shard]!);
    const frame = this.#add(shard, chars);
    frame.add([inboundOp.open, session.number, session.info]);
    return frame;
  }

  #add(shard: number, chars: number): InboundFrame {
    const to = this.#frames[shard]!;
    if (to.chars + chars > frameCharsMax || to.frame.count >= frameCallsMax) this.#send(shard);
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
const shardAway = overloaded('This part of the server is being started again');
const tooManySubscriptions = overloaded('Too many subscriptions on this connection');

function overloaded(message: string): ErrorBody {
  return new AppError('OVERLOADED', message, { retryAfterMs: 100 }).toBody();
}
