/**
 * Who is with an actor: clients connected to it, and the subscribers among them, by stream.
 *
 * It outlives the actor's stay in memory, so that presence survives eviction and a dropped activation's successor knows
 * whom to send a new snapshot. Each lane of a stream is a topic at the gateways: one record per gateway reaches all of it.
 */
import type { Stream } from '../protocol/envelope.ts';
import type { Session } from './sessions.ts';

/** Milliseconds, monotonic. */
type Now = () => number;

/** Subscribers of one stream that are sent the same text: those with the additions, or those of the base set. */
export class Lane {
  /** Unique for the shard's life. */
  readonly topic: number;
  /** Subscribers per gateway, so that publishing costs the number of gateways, not of subscribers. */
  readonly #counts = new Map<number, number>();

  constructor(topic: number) {
    this.topic = topic;
  }

  get empty(): boolean {
    return this.#counts.size === 0;
  }

  /** Gateways that have subscribers here. */
  get gateways(): Iterable<number> {
    return this.#counts.keys();
  }

  count(gateway: number, change: 1 | -1): void {
    const count = (this.#counts.get(gateway) ?? 0) + change;
    if (count === 0) this.#counts.delete(gateway);
    else this.#counts.set(gateway, count);
  }
}

export interface Lanes {
  readonly full: Lane;
  readonly base: Lane;
}

export class Audience {
  readonly lanes: Readonly<Record<Stream, Lanes>>;
  readonly #connected = new Map<string, Session>();
  readonly #subscribers: Readonly<Record<Stream, Set<Session>>> = { state: new Set(), event: new Set() };
  readonly #now: Now;
  /** When the last subscriber of the state was seen. */
  #watchedMs = Number.NEGATIVE_INFINITY;

  /** `topic`: the first of four that are its own. */
  constructor(topic: number, now: Now) {
    this.lanes = {
      state: { full: new Lane(topic), base: new Lane(topic + 1) },
      event: { full: new Lane(topic + 2), base: new Lane(topic + 3) },
    };
    this.#now = now;
  }

  /** The one that this session is in when it subscribes. */
  laneOf({ info }: Session, stream: Stream): Lane {
    return this.lanes[stream][info.additions ? 'full' : 'base'];
  }

  /** Is somebody subscribed to the state, or was within `graceMs` and may come back for what it missed? */
  isWatched(graceMs: number): boolean {
    if (this.#subscribers.state.size > 0) return true;
    return this.#watchedMs !== Number.NEGATIVE_INFINITY && this.#now() - this.#watchedMs < graceMs;
  }

  /** Somebody was subscribed to the state until now, as far as is known. */
  noteWatched(): void {
    this.#watchedMs = this.#now();
  }

  connect(session: Session): void {
    this.#connected.set(session.info.clientId, session);
  }

  isConnected(session: Session): boolean {
    return this.#connected.get(session.info.clientId) === session;
  }

  disconnect(session: Session): void {
    this.forget(session);
    this.detach(session);
  }

  /** Its connection is lost: it hears nothing more, and is still there for the others. */
  detach(session: Session): void {
    this.unsubscribe(session, 'state');
    this.unsubscribe(session, 'event');
  }

  /** The client's session goes on under another number. */
  succeed(session: Session, successor: Session): void {
    this.detach(session);
    if (this.isConnected(session)) this.connect(successor);
  }

  /** Its `onConnect` has to run again; what it subscribed to stays. */
  forget(session: Session): void {
    const { clientId, sessionId } = session.info;
    // By its id: what ran while the session moved, or after a restart, knows it by another object.
    if (this.#connected.get(clientId)?.info.sessionId === sessionId) this.#connected.delete(clientId);
  }

  subscribe(session: Session, stream: Stream): void {
    if (this.#subscribers[stream].has(session)) return;
    this.#subscribers[stream].add(session);
    this.laneOf(session, stream).count(session.gateway, 1);
  }

  unsubscribe(session: Session, stream: Stream): void {
    if (!this.#subscribers[stream].delete(session)) return;
    this.laneOf(session, stream).count(session.gateway, -1);
    if (stream === 'state') this.noteWatched();
  }

  of(stream: Stream): ReadonlySet<Session> {
    return this.#subscribers[stream];
  }

  get subscribers(): number {
    return this.#subscribers.state.size + this.#subscribers.event.size;
  }

  get empty(): boolean {
    return this.#connected.size === 0 && this.subscribers === 0;
  }

  /** A copy: a handler may keep it across an await. */
  clientIds(): ReadonlySet<string> {
    return new Set(this.#connected.keys());
  }
}

/** The audiences of a shard, by actor. One without anybody in it is forgotten when its actor leaves memory. */
export class Audiences {
  readonly #byActor = new Map<string, Audience>();
  readonly #now: Now;
  #nextTopic = 1;

  constructor(now: Now) {
    this.#now = now;
  }

  of(key: string): Audience {
    let audience = this.#byActor.get(key);
    if (audience === undefined) {
      audience = new Audience(this.#nextTopic, this.#now);
      this.#nextTopic += 4;
      this.#byActor.set(key, audience);
    }
    return audience;
  }

  find(key: string): Audience | undefined {
    return this.#byActor.get(key);
  }

  /** A session is gone from an actor that need not be told. */
  leave(key: string, session: Session): void {
    this.#byActor.get(key)?.disconnect(session);
  }

  release(key: string): void {
    if (this.#byActor.get(key)?.empty === true) this.#byActor.delete(key);
  }
}
