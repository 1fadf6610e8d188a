/**
 * Who is with an actor: clients connected to it, and the subscribers among them, by stream.
 *
 * It outlives the actor's stay in memory, so that presence survives eviction and a dropped activation's successor knows
 * whom to send a new snapshot. Each stream is a topic at the gateways: one record per gateway reaches all of them.
 */
import type { Stream } from '../protocol/envelope.ts';
import type { Session } from './sessions.ts';

export class Audience {
  readonly topics: Readonly<Record<Stream, number>>;
  readonly #connected = new Map<string, Session>();
  readonly #subscribers: Readonly<Record<Stream, Set<Session>>> = { state: new Set(), event: new Set() };
  /** Subscribers per gateway, so that publishing costs the number of gateways, not of subscribers. */
  readonly #counts: Readonly<Record<Stream, Map<number, number>>> = { state: new Map(), event: new Map() };

  /** Topic numbers are the shard's: unique for its life. */
  constructor(stateTopic: number, eventTopic: number) {
    this.topics = { state: stateTopic, event: eventTopic };
  }

  connect(session: Session): void {
    this.#connected.set(session.info.clientId, session);
  }

  isConnected(session: Session): boolean {
    return this.#connected.get(session.info.clientId) === session;
  }

  disconnect(session: Session): void {
    this.forget(session);
    this.unsubscribe(session, 'state');
    this.unsubscribe(session, 'event');
  }

  /** Its `onConnect` has to run again; what it subscribed to stays. */
  forget(session: Session): void {
    if (this.isConnected(session)) this.#connected.delete(session.info.clientId);
  }

  subscribe(session: Session, stream: Stream): void {
    if (this.#subscribers[stream].has(session)) return;
    this.#subscribers[stream].add(session);
    this.#count(stream, session.gateway, 1);
  }

  unsubscribe(session: Session, stream: Stream): void {
    if (this.#subscribers[stream].delete(session)) this.#count(stream, session.gateway, -1);
  }

  of(stream: Stream): ReadonlySet<Session> {
    return this.#subscribers[stream];
  }

  /** Gateways that have subscribers of this stream. */
  gateways(stream: Stream): Iterable<number> {
    return this.#counts[stream].keys();
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

  #count(stream: Stream, gateway: number, change: 1 | -1): void {
    const count = (this.#counts[stream].get(gateway) ?? 0) + change;
    if (count === 0) this.#counts[stream].delete(gateway);
    else this.#counts[stream].set(gateway, count);
  }
}

/** The audiences of a shard, by actor. One without anybody in it is forgotten when its actor leaves memory. */
export class Audiences {
  readonly #byActor = new Map<string, Audience>();
  #nextTopic = 1;

  of(key: string): Audience {
    let audience = this.#byActor.get(key);
    if (audience === undefined) {
      audience = new Audience(this.#nextTopic, this.#nextTopic + 1);
      this.#nextTopic += 2;
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
