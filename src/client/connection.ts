/**
 * Whether the client is connected, and what it does about it. It knows nothing of calls and subscriptions; whoever owns
 * them is told through `ConnectionOwner`.
 *
 *   waiting ──▶ opening ──welcome──▶ open ──down──▶ waiting …      and from anywhere: ended (closed, unauthorized)
 *
 * It keeps the session's secret between two links, and has the token renewed while one is open.
 *
 * Invariants: one link at most is alive. The phase changes before anybody is told, so that a listener may call
 * anything, `close()` included. The backoff starts over only when a connection has proved itself: by a successful call,
 * or by 5 s of life after its welcome.
 */
import { closeCodes, type ServerMessage } from '../protocol/messages.ts';
import type { Backoff } from './backoff.ts';
import type { Cancel } from './clock.ts';
import { FermataError } from './error.ts';
import { Link, type LinkOptions, type Welcome } from './link.ts';
import { Listeners } from './listeners.ts';
import { TokenRefresh } from './token-refresh.ts';

/**
 * `connecting` until the first welcome · `connected` · `reconnecting` after a loss · `unauthorized`: the server refuses
 * this client, no further attempts · `closed` by `close()`.
 */
export type ConnectionStatus = 'connecting' | 'connected' | 'reconnecting' | 'unauthorized' | 'closed';

/** `client.connection`: what an application sees. */
export interface ClientConnection {
  readonly status: ConnectionStatus;
  /** Why it is not connected, once that is known: the last loss or refusal. */
  readonly error: FermataError | undefined;
  /** The server's name for this client, from the last welcome. */
  readonly clientId: string | undefined;
  /** Resolves once connected (at once when it is), rejects once `unauthorized` or `closed`. A loss starts a new promise. */
  readonly ready: Promise<void>;
  /** Calls the listener on each change; returns a function that ends it. */
  subscribe(listener: (status: ConnectionStatus) => void): () => void;
  /** Ends everything: open calls reject with CLOSED, nothing arrives any more, no further attempts. Idempotent. */
  close(): void;
}

export interface ConnectionOwner {
  /** Connected: send what waits. */
  onOpen(welcome: Welcome): void;
  onMessage(message: ServerMessage): void;
  /** The server took a new token on the open connection. */
  onRenewed(): void;
  /** Nobody will answer what was sent on this connection. */
  onLost(error: FermataError): void;
  /** The last word: no connection will come any more. */
  onEnd(error: FermataError): void;
}

/** A connection that lived this long after its welcome counts as good. */
const proofMs = 5000;
/** No server may send clients away for longer than this. */
const shutdownDelayMsMax = 60_000;

type Phase =
  | { readonly kind: 'waiting'; readonly cancel: Cancel }
  | { readonly kind: 'opening'; readonly link: Link }
  // `leaving`: the server said that it stops; it would refuse what is sent now.
  | {
      readonly kind: 'open';
      readonly link: Link;
      readonly refresh: TokenRefresh | undefined;
      readonly cancelProof: Cancel;
      leaving: boolean;
    }
  | { readonly kind: 'ended'; readonly status: 'unauthorized' | 'closed' };

export class Connection implements ClientConnection {
  readonly #options: LinkOptions;
  readonly #backoff: Backoff;
  readonly #owner: ConnectionOwner;
  readonly #listeners: Listeners<ConnectionStatus>;
  #phase: Phase;
  #ready = deferred();
  #toldStatus: ConnectionStatus = 'connecting';
  #everOpen = false;
  /** A refused token is answered with a fresh one once; set until a connection has proved itself. */
  #tokenRetried = false;
  /** The delay that a leaving server asked for, until the next attempt is planned. */
  #shutdownDelayMs: number | undefined;
  #error: FermataError | undefined;
  #clientId: string | undefined;
  /** Stands for the session at the server, and is good for one reconnect. A secret. */
  #resumeToken: string | undefined;

  constructor(options: LinkOptions, backoff: Backoff, owner: ConnectionOwner) {
    this.#options = options;
    this.#backoff = backoff;
    this.#owner = owner;
    this.#listeners = new Listeners(options.report);
    // Not at once: the code that makes the client may add its listeners first.
    this.#phase = { kind: 'waiting', cancel: options.clock.after(0, () => this.#attempt()) };
  }

  get status(): ConnectionStatus {
    if (this.#phase.kind === 'ended') return this.#phase.status;
    if (this.#phase.kind === 'open') return 'connected';
    return this.#everOpen ? 'reconnecting' : 'connecting';
  }

  get error(): FermataError | undefined {
    return this.#error;
  }

  get clientId(): string | undefined {
    return this.#clientId;
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  subscribe(listener: (status: ConnectionStatus) => void): () => void {
    const remove = this.#listeners.add(listener);
    return () => void remove();
  }

  /** False when nothing can be sent now; `onOpen` says when that changed. */
  send(text: string): boolean {
    if (this.#phase.kind !== 'open' || this.#phase.leaving) return false;
    this.#phase.link.send(text);
    return true;
  }

  /** This connection is good: the next loss starts with a short delay again. */
  prove(): void {
    this.#backoff.reset();
    this.#tokenRetried = false;
  }

  close(): void {
    if (this.#phase.kind === 'ended') return;
    this.#end('closed', new FermataError('CLOSED', 'The client was closed', { outcome: 'rejected', retryable: false }));
  }

  #attempt(): void {
    const link = new Link(this.#options, this.#resumeToken, {
      onOpen: (welcome, token) => this.#open(link, welcome, token),
      onMessage: (message) => this.#receive(message),
      onDown: (code, why) => this.#down(code, why),
    });
    // The token's function was asked meanwhile, and may have closed the client.
    if (this.#phase.kind === 'ended') link.drop();
    else this.#phase = { kind: 'opening', link };
  }

  #open(link: Link, welcome: Welcome, token: string): void {
    const { clock } = this.#options;
    this.#phase = {
      kind: 'open',
      link,
      refresh: welcome.resumeToken === undefined ? undefined : this.#refreshOf(link, token),
      cancelProof: clock.after(proofMs, () => this.prove()),
      leaving: false,
    };
    this.#everOpen = true;
    this.#shutdownDelayMs = undefined;
    this.#error = undefined;
    this.#clientId = welcome.clientId;
    this.#resumeToken = welcome.resumeToken;
    this.#owner.onOpen(welcome);
    this.#ready.resolve();
    this.#tellStatus();
  }

  /** A fixed token cannot be renewed. */
  #refreshOf(link: Link, token: string): TokenRefresh | undefined {
    const { clock, report, token: source } = this.#options;
    if (typeof source === 'string') return undefined;
    return new TokenRefresh(token, {
      clock,
      report,
      fetchToken: () => link.fetchToken(),
      send: (text) => this.send(text),
    });
  }

  #receive(message: ServerMessage): void {
    const refresh = this.#phase.kind === 'open' ? this.#phase.refresh : undefined;
    if (message.type === 'server:shutdown') {
      this.#shutdownDelayMs = Math.min(Math.max(message.reconnectInMs || 0, 0), shutdownDelayMsMax);
      if (this.#phase.kind === 'open') this.#phase.leaving = true;
    } else if (message.type === 'auth:ok') {
      refresh?.confirm();
      this.#owner.onRenewed();
    } else if (message.type === 'error' && message.re?.type === 'auth') {
      const { code, retryable, retryAfterMs } = message;
      const why = `The server refused the new token: ${message.message}`;
      refresh?.refuse(new FermataError(code, why, { outcome: 'rejected', retryable, retryAfterMs }));
    } else this.#owner.onMessage(message);
  }

  #down(code: number | undefined, why: string): void {
    if (code === closeCodes.forbidden) {
      this.#end('unauthorized', refusal('FORBIDDEN', `the server forbids this client; ${why}`));
    } else if (code === closeCodes.unauthorized && (typeof this.#options.token === 'string' || this.#tokenRetried)) {
      this.#end('unauthorized', refusal('UNAUTHORIZED', `the server does not accept the token; ${why}`));
    } else {
      if (code === closeCodes.unauthorized) this.#tokenRetried = true;
      this.#retry(why);
    }
  }

  #retry(why: string): void {
    const wasOpen = this.#phase.kind === 'open';
    const delayMs = this.#shutdownDelayMs ?? this.#backoff.nextDelayMs();
    this.#shutdownDelayMs = undefined;
    this.#leavePhase();
    this.#phase = { kind: 'waiting', cancel: this.#options.clock.after(delayMs, () => this.#attempt()) };
    const error = new FermataError('CONNECTION_LOST', `No connection: ${why}`, { outcome: 'unknown' });
    this.#error = error;
    if (wasOpen) {
      this.#ready = deferred();
      this.#owner.onLost(error);
    }
    this.#tellStatus();
  }

  #end(status: 'unauthorized' | 'closed', error: FermataError): void {
    if (this.#phase.kind === 'open') this.#ready = deferred();
    this.#leavePhase();
    this.#phase = { kind: 'ended', status };
    this.#error = error;
    this.#ready.reject(error);
    this.#owner.onEnd(error);
    this.#tellStatus();
    this.#listeners.clear();
  }

  #leavePhase(): void {
    const phase = this.#phase;
    if (phase.kind === 'waiting') phase.cancel();
    if (phase.kind === 'open') {
      phase.cancelProof();
      phase.refresh?.stop();
    }
    if (phase.kind === 'opening' || phase.kind === 'open') phase.link.drop();
  }

  #tellStatus(): void {
    const { status } = this;
    if (status === this.#toldStatus) return;
    this.#toldStatus = status;
    this.#listeners.tell(status);
  }
}

function refusal(code: 'UNAUTHORIZED' | 'FORBIDDEN', why: string): FermataError {
  return new FermataError(code, `Not connected: ${why}`, { outcome: 'rejected', retryable: false });
}

function deferred(): PromiseWithResolvers<void> {
  const made = Promise.withResolvers<void>();
  // Whoever ignores `ready` hears nothing of its rejection; whoever awaits it does.
  made.promise.catch(() => {});
  return made;
}
