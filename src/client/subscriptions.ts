/**
 * What the application listens to: one channel per actor with listeners, holding its events and its state.
 *
 * A channel lives exactly as long as it has a listener, and so does the server's subscription: the first listener of a
 * kind subscribes, the last one to go unsubscribes. After a reconnect everything is subscribed anew, each from its own
 * place on, so that the server sends what was missed.
 *
 * A subscription that is refused for now is tried again, with growing delays. One that is refused for good stays so until
 * there is a reason to ask anew: another listener, a new token, a new connection.
 */
import type { ServerMessage, StreamPosition, SubscriptionMessage } from '../protocol/messages.ts';
import { Backoff } from './backoff.ts';
import type { Cancel, Clock } from './clock.ts';
import { FermataError } from './error.ts';
import { EventFeed, type EventOptions } from './event-feed.ts';
import { Store } from './store.ts';

export interface ActorRef {
  readonly actor: string;
  readonly actorId: string;
}

export interface StateOptions {
  /**
   * Called with the error when the server refuses the state for good, and with undefined when that is over: the server
   * was asked anew, or told a state. Without it a refusal is reported to the client's `onError`.
   */
  readonly onError?: ((error: FermataError | undefined) => void) | undefined;
}

type Stream = 'state' | 'event';

interface Channel extends ActorRef {
  readonly feed: EventFeed;
  store: Store | undefined;
  /** Subscriptions that the server refused for now. */
  readonly retries: Map<Stream, { readonly backoff: Backoff; cancel: Cancel }>;
}

const retryDelays = { baseMs: 200, capMs: 10_000 };
/** No server may put a subscription off for longer than this. */
const retryAfterMsMax = 60_000;

export class Subscriptions {
  readonly #channels = new Map<string, Channel>();
  readonly #clock: Clock;
  /** False while there is no connection: `resume` sends what is needed. */
  readonly #send: (text: string) => boolean;
  readonly #report: (error: unknown) => void;

  constructor(clock: Clock, send: (text: string) => boolean, report: (error: unknown) => void) {
    this.#clock = clock;
    this.#send = send;
    this.#report = report;
  }

  onEvent(ref: ActorRef, event: string, listener: (payload: unknown) => void, options: EventOptions): () => void {
    const channel = this.#open(ref);
    if (!channel.feed.hasListeners) this.#tell('event:sub', channel);
    else if (channel.feed.refused) this.#subscribe('event', channel);
    const remove = channel.feed.add(event, listener, options);
    return () => {
      if (remove() && !channel.feed.hasListeners) this.#leave('event', channel);
    };
  }

  onState(ref: ActorRef, listener: (state: unknown) => void, { onError }: StateOptions): () => void {
    const channel = this.#open(ref);
    if (channel.store === undefined) {
      channel.store = new Store(this.#report);
      this.#tell('state:sub', channel);
    }
    const { store } = channel;
    const remove = store.subscribe(listener, onError);
    // Whoever comes new gets an answer of its own.
    if (channel.store?.error !== undefined) this.#subscribe('state', channel);
    return () => {
      if (!remove() || store.listenerCount > 0) return;
      channel.store = undefined;
      this.#leave('state', channel);
    };
  }

  /** The last known state, undefined while nobody is subscribed to it. */
  state(ref: ActorRef): unknown {
    return this.#channels.get(keyOf(ref))?.store?.get();
  }

  /** Why there is none, when the server refused for good. */
  error(ref: ActorRef): FermataError | undefined {
    return this.#channels.get(keyOf(ref))?.store?.error;
  }

  /** Ends every subscription to this actor. */
  drop(ref: ActorRef): void {
    const channel = this.#channels.get(keyOf(ref));
    if (channel === undefined) return;
    const { store, feed } = channel;
    const listened = feed.hasListeners;
    channel.store = undefined;
    store?.clear();
    feed.clear();
    if (store !== undefined) this.#leave('state', channel);
    if (listened) this.#leave('event', channel);
  }

  /** Connected: everything is subscribed anew. */
  resume(): void {
    for (const channel of this.#channels.values()) {
      this.#calm(channel);
      channel.feed.lose();
    }
    for (const channel of this.#channels.values()) {
      if (channel.store !== undefined) this.#subscribe('state', channel);
      // Unless a listener that was told just now has asked already.
      if (channel.feed.hasListeners && !channel.feed.asked) this.#subscribe('event', channel);
    }
  }

  /** The server took a new token: what was refused for good may be allowed now. */
  retryRefused(): void {
    for (const channel of this.#channels.values()) {
      if (channel.store?.error !== undefined) this.#subscribe('state', channel);
      if (channel.feed.refused) this.#subscribe('event', channel);
    }
  }

  /** No connection will come any more. */
  end(): void {
    for (const channel of this.#channels.values()) this.#calm(channel);
  }

  receive(message: ServerMessage): void {
    if (message.type === 'error') this.#refused(message);
    // A newer server may say more than this client understands.
    if (!('actorId' in message)) return;
    const channel = this.#channels.get(keyOf(message));
    if (channel === undefined) return;
    if (message.type === 'event') channel.feed.tell(message.event, message.payload, message.seq);
    else if (message.type === 'event:position') {
      if (!channel.feed.move(message, message.gap)) this.#subscribe('event', channel);
    } else if (message.type === 'state:snapshot') channel.store?.replace(message.state, positionOf(message));
    else if (message.type === 'state:patch') this.#patch(channel, message);
  }

  #patch(channel: Channel, message: ServerMessage & { type: 'state:patch' }): void {
    const { store } = channel;
    if (store === undefined) return;
    try {
      if (!store.patch(message.patches, positionOf(message))) this.#tell('state:sub', channel, store.position);
    } catch (error) {
      // The two have gone apart: start again from a snapshot, which a second subscription gets.
      this.#report(error);
      this.#tell('state:sub', channel);
    }
  }

  #refused(message: ServerMessage & { type: 'error' }): void {
    const { re, retryable, retryAfterMs = 0 } = message;
    const { type, actor = '', actorId = '' } = re ?? { type: '' };
    const channel = this.#channels.get(keyOf({ actor, actorId }));
    const stream = type === 'state:sub' ? 'state' : 'event';
    const wanted = type === 'state:sub' ? channel?.store !== undefined : channel?.feed.hasListeners === true;
    if (channel === undefined || !wanted || !type.endsWith(':sub')) {
      this.#report(refusalOf(message));
      return;
    }
    if (stream === 'event') channel.feed.refuse(!retryable);
    const retry = channel.retries.get(stream);
    retry?.cancel();
    if (!retryable) {
      channel.retries.delete(stream);
      this.#refuse(stream, channel, refusalOf(message));
      return;
    }
    const backoff = retry?.backoff ?? new Backoff(retryDelays, () => this.#clock.random());
    const delayMs = Math.min(retryAfterMs, retryAfterMsMax) + backoff.nextDelayMs();
    const cancel = this.#clock.after(delayMs, () => this.#subscribe(stream, channel));
    channel.retries.set(stream, { backoff, cancel });
  }

  /** For good. */
  #refuse(stream: Stream, { store }: Channel, error: FermataError): void {
    const heard = stream === 'state' && store?.refuse(error) === true;
    if (!heard) this.#report(error);
  }

  #open(ref: ActorRef): Channel {
    const key = keyOf(ref);
    let channel = this.#channels.get(key);
    if (channel === undefined) {
      const { actor, actorId } = ref;
      const feed = new EventFeed(`${actor} ${JSON.stringify(actorId)}`, this.#report);
      channel = { actor, actorId, feed, store: undefined, retries: new Map() };
      this.#channels.set(key, channel);
    }
    return channel;
  }

  /** Subscribes once more, from the place that was reached. */
  #subscribe(stream: Stream, channel: Channel): void {
    const { store, feed } = channel;
    const { position } = (stream === 'state' ? store : feed) ?? {};
    this.#tell(`${stream}:sub`, channel, position);
    // Last: it may tell listeners, who may leave.
    if (stream === 'state') store?.restart();
  }

  #leave(stream: Stream, channel: Channel): void {
    channel.retries.get(stream)?.cancel();
    channel.retries.delete(stream);
    this.#tell(`${stream}:unsub`, channel);
    if (channel.store === undefined && !channel.feed.hasListeners) this.#channels.delete(keyOf(channel));
  }

  #calm({ retries }: Channel): void {
    for (const { cancel } of retries.values()) cancel();
    retries.clear();
  }

  #tell(type: SubscriptionMessage['type'], { actor, actorId, feed }: Channel, since?: StreamPosition): void {
    const sent = this.#send(JSON.stringify({ type, actor, actorId, since }));
    if (sent && type === 'event:sub') feed.ask();
  }
}

/** No name of an actor holds a line break. */
function keyOf({ actor, actorId }: ActorRef): string {
  return `${actor}\n${actorId}`;
}

function positionOf({ epoch, seq }: Partial<StreamPosition>): StreamPosition | undefined {
  return epoch === undefined || seq === undefined ? undefined : { epoch, seq };
}

function refusalOf({ re, code, message, retryable, retryAfterMs }: ServerMessage & { type: 'error' }): FermataError {
  const subject =
    re === undefined
      ? 'The server refused a message'
      : `${re.type} ${re.actor ?? ''} ${JSON.stringify(re.actorId ?? '')} was refused`;
  return new FermataError(code, `${subject}: ${message}`, { outcome: 'rejected', retryable, retryAfterMs });
}
