/**
 * The way in: what clients ask becomes envelopes, gathered per shard and sent as one frame per tick.
 *
 *   connection or HTTP ── call, read, subscribe ──▶ bounds ──▶ ShardFrames ── setImmediate ──▶ link
 *
 * Invariants: a call past a bound is refused here and now, without a hop · a shard hears `open` before anything else of
 * a session, and `end` last · envelopes of one session to one shard keep their order.
 */
import type { Clock } from '../host/clock.ts';
import { inboundOp, type InboundFrame, type SessionInfo, type Stream } from '../protocol/envelope.ts';
import type { ErrorBody } from '../protocol/errors.ts';
import type { Limits } from '../protocol/limits.ts';
import type { StreamPosition } from '../protocol/messages.ts';
import type { GatewayLink } from '../transport/contract.ts';
import type { Principal } from './auth.ts';
import { Bounds } from './bounds.ts';
import type { CallLog } from './call-log.ts';
import type { GatewayMeters } from './meters.ts';
import type { Call, Pending, Waiter } from './pending.ts';
import type { PoisonCalls } from './poison.ts';
import { Session, type Subscription, type TenantLoad } from './session.ts';
import { ShardFrames } from './shard-frames.ts';

/** What goes with a session to its new number. */
export interface Moved {
  readonly info: SessionInfo;
  readonly connectedMs: number;
  /** Those that know it. */
  readonly shards: readonly number[];
  /** Calls that its connections here have under way. */
  readonly inFlight?: { calls: number };
}

export interface IntakeParts {
  readonly link: GatewayLink;
  readonly pending: Pending;
  readonly poison: PoisonCalls;
  readonly meters: GatewayMeters;
  readonly limits: Limits;
  readonly clock: Clock;
  /** At level `debug` only. */
  readonly callLog?: CallLog | undefined;
  /** Sessions are numbered from here, by default from 1. */
  readonly first?: number;
}

export class Intake {
  readonly #link: GatewayLink;
  readonly #bounds: Bounds;
  readonly #pending: Pending;
  readonly #clock: Clock;
  readonly #frames: ShardFrames;
  readonly #tenants = new Map<string, TenantLoad>();
  /** Shards whose thread died and whose successor is not there yet. */
  readonly #away = new Set<number>();
  /** How many threads, or processes, have served each shard as far as is known. */
  readonly #lives: number[];
  /** The first life of each shard whose frames may still be on their way, to whoever serves it now. */
  readonly #oldestLives: number[];
  readonly #poison: PoisonCalls;
  readonly #meters: GatewayMeters;
  readonly #callLog: CallLog | undefined;
  #nextSession: number;

  constructor({ link, pending, poison, meters, limits, clock, callLog, first = 1 }: IntakeParts) {
    this.#nextSession = first;
    this.#link = link;
    this.#poison = poison;
    this.#meters = meters;
    this.#callLog = callLog;
    this.#lives = Array.from({ length: link.shards }, () => 1);
    this.#oldestLives = [...this.#lives];
    this.#bounds = new Bounds({ link, pending, limits, away: this.#away });
    this.#pending = pending;
    this.#clock = clock;
    this.#frames = new ShardFrames(link, clock.monotonic);
  }

  get tenants(): number {
    return this.#tenants.size;
  }

  openSession(principal: Principal, kind: SessionInfo['kind'], additions: boolean): Session {
    const { tenant, userId, claims } = principal;
    const sessionId = kind === 'http' ? '' : this.#clock.id();
    const info = { tenant, sessionId, clientId: this.#clock.id(), userId, claims, kind, additions };
    return this.#newSession(info, this.#clock.now());
  }

  /** A session that was known by another number, here or at another gateway: shards that know it hear at once of the new one. */
  adoptSession({ info, connectedMs, shards, inFlight }: Moved): Session {
    const session = this.#newSession(info, connectedMs, inFlight);
    for (const shard of shards) {
      if (shard >= this.#link.shards) continue;
      // One that is away hears of it when it is back.
      if (this.#away.has(shard)) session.shards.set(shard, noLife);
      else this.#frameFor(session, shard, 0);
    }
    return session;
  }

  /** The session's connection is lost: shards send it nothing more, until it subscribes anew. */
  detachSession(session: Session): void {
    session.subscriptions.clear();
    this.#tell(session, inboundOp.detach);
  }

  /** The client is gone: shards hear it now. Its pending calls are answered to nobody. */
  endSession(session: Session): void {
    this.#tell(session, inboundOp.end);
    this.#forget(session);
  }

  /** Another gateway has the session now, and tells the shards. What they were sent for it from here comes first. */
  releaseSession(session: Session): void {
    this.#frames.flush();
    this.#forget(session);
  }

  /** No new calls will come: shards hear of the end when the last one is answered. */
  retireSession(session: Session): void {
    session.ending = true;
    if (session.inFlight.calls === 0) this.endSession(session);
  }

  /** The refusal, or undefined when the call is on its way and `waiter` will hear of it. */
  call(session: Session, call: Call, waiter: Waiter): ErrorBody | undefined {
    const { actor, actorId, method, key, ack, deadlineMs, input, chars, trace } = call;
    const shard = this.#link.place(session.info.tenant, actor, actorId);
    const refusal = this.#bounds.ofCall(session, shard) ?? this.#poison.refusal(session.info.tenant, call);
    if (refusal !== undefined) {
      this.#meters.turnedAway();
      this.#callLog?.refused(session.info.tenant, call, refusal);
      return refusal;
    }
    const frame = this.#frameFor(session, shard, chars + trace.length);
    const heard = this.#callLog === undefined ? waiter : this.#callLog.watch(waiter, session.info.tenant, call);
    const number = this.#pending.add(heard, session, shard, this.#frames.tickMs, call);
    frame.addCall(session.number, number, actor, actorId, method, key, ack, deadlineMs, input, trace);
    return undefined;
  }

  read(session: Session, actor: string, actorId: string, waiter: Waiter): ErrorBody | undefined {
    const shard = this.#link.place(session.info.tenant, actor, actorId);
    const refusal = this.#bounds.ofCall(session, shard);
    if (refusal !== undefined) return refusal;
    const frame = this.#frameFor(session, shard, 0);
    const number = this.#pending.add(waiter, session, shard, this.#frames.tickMs);
    frame.add([inboundOp.read, session.number, number, actor, actorId]);
    return undefined;
  }

  /** The refusal, or undefined when the shard will answer with what was missed since, a snapshot or a position. */
  subscribe(
    session: Session,
    actor: string,
    actorId: string,
    stream: Stream,
    since: StreamPosition | undefined,
  ): ErrorBody | undefined {
    const shard = this.#link.place(session.info.tenant, actor, actorId);
    const refusal = this.#bounds.ofSubscription(session, shard);
    if (refusal !== undefined) return refusal;
    const subscription = { shard, actor, actorId, stream, since };
    // A shard that is away hears of it when it is back.
    if (this.#away.has(shard)) session.subscriptions.set(nameOf(subscription), subscription);
    else this.#subscribe(session, subscription);
    return undefined;
  }

  unsubscribe(session: Session, actor: string, actorId: string, stream: Stream): void {
    const shard = this.#link.place(session.info.tenant, actor, actorId);
    // Where nothing was said, nothing is taken back; it would be a way to fill a link that refuses all else.
    if (!session.subscriptions.delete(nameOf({ actor, actorId, stream })) || this.#away.has(shard)) return;
    this.#frameFor(session, shard, 0).add([inboundOp.unsubscribe, session.number, actor, actorId, stream]);
  }

  /** The shard's thread died: what was gathered for it is moot, and new calls to it are refused until it is back. */
  shardLost(shard: number): void {
    this.#away.add(shard);
    this.forgotten(shard);
    this.discard(shard);
  }

  /** Its successor serves: it hears of the sessions that its predecessor knew, with what they subscribed to. */
  shardBack(shard: number, sessions: Iterable<Session>): void {
    this.#away.delete(shard);
    this.#tellAll(shard, sessions);
  }

  /** Whoever serves the shard from now on knows no session: each is opened anew before anything else is said of it. */
  forgotten(shard: number): void {
    this.#lives[shard]! += 1;
  }

  /** What was gathered for the shard is not sent, and what was sent reaches nobody. */
  discard(shard: number): void {
    this.#frames.drop(shard);
    this.#oldestLives[shard] = this.#lives[shard]!;
  }

  /**
   * Somebody else serves the shard and was `forgotten` about: hears at once of these sessions, and of those whose calls are
   * under way, which stay so. What was gathered is sent after that, in its own time.
   */
  turnover(shard: number, sessions: Iterable<Session>): void {
    // Callers over HTTP and sessions that retire are among nobody's but their calls'.
    const all = new Set([...sessions, ...this.#pending.sessionsOf(shard)]);
    this.#frames.ahead(shard, () => this.#tellAll(shard, all));
  }

  /** These are all sessions of this gateway that the shard has to know. */
  present(shard: number, sessions: readonly number[]): void {
    this.#frames.for(shard, sessions.length * numberChars).add([inboundOp.present, 0, sessions]);
  }

  /** Sends what was gathered, without waiting for the tick to end. */
  flush(): void {
    this.#frames.flush();
  }

  /** Called after each answer: what was only waiting for it goes. */
  answered(session: Session): void {
    if (!session.ending || session.inFlight.calls > 0) return;
    if (session.ended) this.#forgetTenant(session);
    else this.endSession(session);
  }

  #newSession(info: SessionInfo, connectedMs: number, inFlight = { calls: 0 }): Session {
    const load = this.#tenants.get(info.tenant) ?? { calls: 0, sessions: 0 };
    this.#tenants.set(info.tenant, load);
    load.sessions += 1;
    return new Session(this.#nextSession++, info, load, { connectedMs, nowMs: this.#clock.now() }, inFlight);
  }

  #tellAll(shard: number, sessions: Iterable<Session>): void {
    const present: number[] = [];
    for (const session of sessions) {
      if (session.shards.has(shard)) this.#frameFor(session, shard, 0);
      for (const subscription of session.subscriptions.values()) {
        if (subscription.shard === shard) this.#subscribe(session, subscription);
      }
      if (session.shards.has(shard)) present.push(session.number);
    }
    this.present(shard, present);
  }

  /** To every shard that knows the session, or will know it when it gets to what was sent before. */
  #tell(session: Session, op: typeof inboundOp.detach | typeof inboundOp.end): void {
    for (const [shard, life] of session.shards) {
      if (life >= this.#oldestLives[shard]!) this.#frames.for(shard, 16).add([op, session.number]);
    }
  }

  #forget(session: Session): void {
    session.ending = true;
    session.ended = true;
    session.shards.clear();
    session.subscriptions.clear();
    session.load.sessions -= 1;
    this.#forgetTenant(session);
  }

  #subscribe(session: Session, subscription: Subscription): void {
    const { shard, actor, actorId, stream, since } = subscription;
    const position = since === undefined ? ([] as const) : ([since.epoch, since.seq] as const);
    this.#frameFor(session, shard, 0).add([inboundOp.subscribe, session.number, actor, actorId, stream, ...position]);
    // The shard knows now. Should it be started anew, the place is an old one.
    session.subscriptions.set(nameOf(subscription), { ...subscription, since: undefined });
  }

  #frameFor(session: Session, shard: number, chars: number): InboundFrame {
    if (session.shards.get(shard) === this.#lives[shard]) return this.#frames.for(shard, chars);
    session.shards.set(shard, this.#lives[shard]!);
    const frame = this.#frames.for(shard, chars);
    frame.add([inboundOp.open, session.number, session.info]);
    return frame;
  }

  #forgetTenant(session: Session): void {
    const { load } = session;
    if (load.sessions === 0 && load.calls === 0) this.#tenants.delete(session.info.tenant);
  }
}

/** Of a session in a list, at most, comma included. */
const numberChars = 8;
/** A shard that knew a session in an earlier life. */
const noLife = 0;

/** Two streams of one actor are two subscriptions. */
function nameOf({ actor, actorId, stream }: Pick<Subscription, 'actor' | 'actorId' | 'stream'>): string {
  return `${stream}\n${actor}\n${actorId}`;
}
