/**
 * `fermata/client`: the typed client, for browsers and Node 22 and later.
 *
 *     import { createClient } from 'fermata/client';
 *     import type { app } from './app.ts';
 *
 *     const client = createClient<typeof app>({ url: 'wss://example.org', token });
 *     const room = client.chat('lobby');
 *     room.on('message', ({ text }) => console.log(text));
 *     await room.sendMessage({ text: 'hi' });
 *
 * This file joins the parts: `Connection` owns the socket's life, `Calls` what waits for an answer, `Subscriptions` what
 * is listened to. They meet nowhere else. Of an app only the types are imported.
 */
import type { ActorsOf, App } from '../actor/infer.ts';
import { Backoff, type BackoffOptions } from './backoff.ts';
import { Calls } from './calls.ts';
import { type Clock, systemClock } from './clock.ts';
import { type ClientConnection, Connection } from './connection.ts';
import { type Handle, makeHandle, namesAsFunctions } from './handle.ts';
import { type SocketConstructor, socketUrl } from './socket.ts';
import { Subscriptions } from './subscriptions.ts';

export { FermataError } from './error.ts';
export type { CallOptions } from './call.ts';
export type { ClientConnection, ConnectionStatus } from './connection.ts';
export type { EventOptions } from './event-feed.ts';
export type { Handle, HandleMeta, StateHandle } from './handle.ts';
export type { StateOptions } from './subscriptions.ts';

export interface ClientOptions {
  /** `ws:`, `wss:`, `http:` or `https:`; without a path it means `/ws`. In a page also relative to it. */
  readonly url: string | URL;
  /**
   * The token, or what fetches one: asked before every attempt to connect, and before the token that was used expires.
   * None by default (development).
   */
  readonly token?: string | (() => string | Promise<string>) | undefined;
  /** Milliseconds until a call ends with TIMEOUT, unless it says otherwise. Default 10,000. */
  readonly callTimeoutMs?: number | undefined;
  /** Milliseconds for one attempt to connect, the token's way included. Default 10,000. */
  readonly connectTimeoutMs?: number | undefined;
  readonly reconnect?: BackoffOptions | undefined;
  /**
   * Gets what has no caller: exceptions of listeners and of `token`, refused tokens, refused subscriptions of which no
   * `onError` of a listener hears, missed events that no `onGap` hears of, frames that are none.
   * By default they are reported as uncaught by the browser, and printed elsewhere.
   */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Default: the platform's. */
  readonly WebSocket?: SocketConstructor | undefined;
  /** Time and randomness, for tests. */
  readonly clock?: Clock | undefined;
}

export type Client<AnyApp extends App> = {
  readonly [Name in keyof ActorsOf<AnyApp>]: (id: string) => Handle<ActorsOf<AnyApp>[Name]>;
} & { readonly connection: ClientConnection };

/**
 * Makes a client and starts to connect.
 * @throws TypeError when the url is none, Error when the platform has no WebSocket and none is given
 */
export function createClient<AnyApp extends App>(options: ClientOptions): Client<AnyApp> {
  const clock = options.clock ?? systemClock;
  const report = guarded(options.onError ?? reportUncaught, clock);
  const calls = new Calls(clock, options.callTimeoutMs ?? 10_000, {
    send: (text) => connection.send(text),
    get error() {
      return connection.error;
    },
  });
  const subscriptions = new Subscriptions(clock, (text) => connection.send(text), report);
  const connection: Connection = new Connection(
    {
      url: socketUrl(options.url),
      token: options.token ?? '',
      WebSocket: options.WebSocket ?? platformSocket(),
      connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
      clock,
      report,
    },
    new Backoff(options.reconnect ?? {}, () => clock.random()),
    {
      onOpen: ({ limits, resumeToken }) => {
        subscriptions.resume();
        calls.resume({
          keys: resumeToken !== undefined,
          frameBytesMax: limits?.frameBytesMax ?? Number.POSITIVE_INFINITY,
          callsMax: limits?.connectionCallsMax ?? Number.POSITIVE_INFINITY,
        });
      },
      onMessage: (message) => {
        if (message.type !== 'rpc:result') subscriptions.receive(message);
        else if (calls.settle(message)) connection.prove();
      },
      onRenewed: () => subscriptions.retryRefused(),
      onLost: (error) => calls.lose(error),
      onEnd: (error) => {
        calls.end(error);
        subscriptions.end();
      },
    },
  );
  const handleOf = handles((actor, actorId) => makeHandle({ actor, actorId }, calls, subscriptions));
  // The one place where names become types: nothing but the app's type knows which actors there are.
  return namesAsFunctions(
    { connection: facade(connection) },
    (actor) => (id: unknown) => handleOf(actor, id),
  ) as Client<AnyApp>;
}

/** One handle per actor for as long as somebody holds it, so that handles can be compared. */
function handles(make: (actor: string, id: string) => object): (actor: string, id: unknown) => object {
  const known = new Map<string, WeakRef<object>>();
  const forget = new FinalizationRegistry<string>((key) => {
    if (known.get(key)?.deref() === undefined) known.delete(key);
  });
  return (actor, id) => {
    if (typeof id !== 'string' || id === '')
      throw new TypeError(`client.${actor}(id): the id must be a string of at least one character`);
    const key = `${actor}\n${id}`;
    let handle = known.get(key)?.deref();
    if (handle === undefined) {
      handle = make(actor, id);
      known.set(key, new WeakRef(handle));
      forget.register(handle, key);
    }
    return handle;
  };
}

/** What applications may touch of the connection. */
function facade(connection: Connection): ClientConnection {
  return {
    get status() {
      return connection.status;
    },
    get error() {
      return connection.error;
    },
    get clientId() {
      return connection.clientId;
    },
    get ready() {
      return connection.ready;
    },
    subscribe: (listener) => connection.subscribe(listener),
    close: () => connection.close(),
  };
}

function platformSocket(): SocketConstructor {
  if (typeof WebSocket === 'function') return WebSocket;
  throw new Error('this platform has no WebSocket: pass one as the option WebSocket, such as that of the package ws');
}

/** An `onError` that throws is uncaught, and keeps the client from nothing. */
function guarded(report: (error: unknown) => void, clock: Clock): (error: unknown) => void {
  return (error) => {
    try {
      report(error);
    } catch (fault) {
      clock.after(0, () => {
        throw fault;
      });
    }
  };
}

function reportUncaught(error: unknown): void {
  if (typeof reportError === 'function') reportError(error);
  // oxlint-disable-next-line no-console
  else console.error(error);
}
