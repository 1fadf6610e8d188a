/**
 * What the application listens to: one channel per actor with listeners, holding its event listeners and its state.
 *
 * A channel lives exactly as long as it has a listener, and so does the server's subscription: the first listener of a
 * kind subscribes, the last one to go unsubscribes. After a reconnect everything is subscribed anew and each state starts
 * with a fresh snapshot; events of the time between are lost, and nothing pretends otherwise.
 */
import type { ServerMessage, SubscriptionMessage } from '../protocol/messages.ts';
import { FermataError } from './error.ts';
import { Listeners } from './listeners.ts';
import { Store } from './store.ts';

export interface ActorRef {
  readonly actor: string;
  readonly actorId: string;
}

interface Channel extends ActorRef {
  readonly events: Map<string, Listeners<unknown>>;
  store: Store | undefined;
}

export class Subscriptions {
  readonly #channels = new Map<string, Channel>();
  /** Does nothing while there is no connection: `resume` sends what is needed. */
  readonly #send: (text: string) => unknown;
  readonly #report: (error: unknown) => void;

  constructor(send: (text: string) => unknown, report: (error: unknown) => void) {
    this.#send = send;
    this.#report = report;
  }

  onEvent(ref: ActorRef, event: string, listener: (payload: unknown) => void): () => void {
    const channel = this.#open(ref);
    let listeners = channel.events.get(event);
    if (listeners === undefined) {
      if (channel.events.size === 0) this.#tell('event:sub', channel);
      listeners = new Listeners(this.#report);
      channel.events.set(event, listeners);
    }
    const remove = listeners.add(listener);
    return () => {
      if (!remove() || listeners.size > 0) return;
      channel.events.delete(event);
      if (channel.events.size === 0) this.#leave('event:unsub', channel);
    };
  }

  onState(ref: ActorRef, listener: (state: unknown) => void): () => void {
    const channel = this.#open(ref);
    if (channel.store === undefined) {
      channel.store = new Store(this.#report);
      this.#tell('state:sub', channel);
    }
    const { store } = channel;
    const remove = store.subscribe(listener);
    return () => {
      if (!remove() || store.listenerCount > 0) return;
      channel.store = undefined;
      this.#leave('state:unsub', channel);
    };
  }

  /** The last known state, undefined while nobody is subscribed to it. */
  state(ref: ActorRef): unknown {
    return this.#channels.get(keyOf(ref))?.store?.get();
  }

  /** Ends every subscription to this actor. */
  drop(ref: ActorRef): void {
    const channel = this.#channels.get(keyOf(ref));
    if (channel === undefined) return;
    const { store, events } = channel;
    channel.store = undefined;
    store?.clear();
    if (store !== undefined) this.#leave('state:unsub', channel);
    if (events.size === 0) return;
    for (const listeners of events.values()) listeners.clear();
    events.clear();
    this.#leave('event:unsub', channel);
  }

  /** Connected: everything is subscribed anew. */
  resume(): void {
    for (const channel of this.#channels.values()) {
      channel.store?.awaitSnapshot();
      if (channel.store !== undefined) this.#tell('state:sub', channel);
      if (channel.events.size > 0) this.#tell('event:sub', channel);
    }
  }

  receive(message: ServerMessage): void {
    // A newer server may say more than this client understands.
    if (message.type === 'event') this.#channels.get(keyOf(message))?.events.get(message.event)?.tell(message.payload);
    else if (message.type === 'state:snapshot') this.#channels.get(keyOf(message))?.store?.replace(message.state);
    else if (message.type === 'state:patch') this.#patch(message);
    else if (message.type === 'error') this.#report(refusalOf(message));
  }

  #patch(message: ServerMessage & { type: 'state:patch' }): void {
    const channel = this.#channels.get(keyOf(message));
    if (channel?.store === undefined) return;
    try {
      channel.store.patch(message.patches);
    } catch (error) {
      // The two have gone apart: start again from a snapshot.
      this.#report(error);
      this.#tell('state:unsub', channel);
      this.#tell('state:sub', channel);
    }
  }

  #open(ref: ActorRef): Channel {
    const key = keyOf(ref);
    let channel = this.#channels.get(key);
    if (channel === undefined) {
      channel = { actor: ref.actor, actorId: ref.actorId, events: new Map(), store: undefined };
      this.#channels.set(key, channel);
    }
    return channel;
  }

  #leave(type: 'state:unsub' | 'event:unsub', channel: Channel): void {
    this.#tell(type, channel);
    if (channel.store === undefined && channel.events.size === 0) this.#channels.delete(keyOf(channel));
  }

  #tell(type: SubscriptionMessage['type'], { actor, actorId }: ActorRef): void {
    this.#send(JSON.stringify({ type, actor, actorId } satisfies SubscriptionMessage));
  }
}

/** No name of an actor holds a line break. */
function keyOf({ actor, actorId }: ActorRef): string {
  return `${actor}\n${actorId}`;
}

function refusalOf({ re, code, message, retryable, retryAfterMs }: ServerMessage & { type: 'error' }): FermataError {
  const subject =
    re === undefined
      ? 'The server refused a message'
      : `${re.type} ${re.actor ?? ''} ${JSON.stringify(re.actorId ?? '')} was refused`;
  return new FermataError(code, `${subject}: ${message}`, { outcome: 'rejected', retryable, retryAfterMs });
}
