/**
 * One attempt to reach the server and, when it succeeds, the one socket that came of it: token, handshake, welcome,
 * frames, heartbeat, end. A link goes down once, tells so once, and is never used again.
 *
 * Invariant: after `drop()` or `onDown` nothing of this link is heard any more, whatever its socket still does. A
 * half-open socket may take minutes to close.
 */
import { bearerProtocolPrefix, type ServerMessage, subprotocol } from '../protocol/messages.ts';
import type { Cancel, Clock } from './clock.ts';
import { Heartbeat } from './heartbeat.ts';
import type { Socket, SocketConstructor } from './socket.ts';

export interface LinkOptions {
  readonly url: string;
  readonly token: string | (() => string | Promise<string>);
  readonly WebSocket: SocketConstructor;
  /** From the start to the welcome, the token's way included. */
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  readonly report: (error: unknown) => void;
}

export type Welcome = ServerMessage & { type: 'welcome' };

export interface LinkOwner {
  onWelcome(welcome: Welcome): void;
  /** Any message but `welcome` and `pong`. */
  onMessage(message: ServerMessage): void;
  /** `code` is the close code, or undefined when no close frame told one. `why` ends a sentence. */
  onDown(code: number | undefined, why: string): void;
}

export class Link {
  readonly #options: LinkOptions;
  readonly #owner: LinkOwner;
  readonly #cancelTimeout: Cancel;
  #socket: Socket | undefined;
  #heartbeat: Heartbeat | undefined;
  #welcomed = false;
  #over = false;

  constructor(options: LinkOptions, owner: LinkOwner) {
    const { clock, connectTimeoutMs } = options;
    this.#options = options;
    this.#owner = owner;
    this.#cancelTimeout = clock.after(connectTimeoutMs, () =>
      this.#down(undefined, `no welcome from the server within ${connectTimeoutMs} ms`),
    );
    this.#fetchToken().then(
      (token) => this.#open(token),
      (error: unknown) => this.#fail(error, 'the token could not be fetched'),
    );
  }

  send(text: string): void {
    this.#socket?.send(text);
  }

  /** Ends the link without a further word to its owner. */
  drop(): void {
    if (this.#over) return;
    this.#over = true;
    this.#cancelTimeout();
    this.#heartbeat?.stop();
    this.#socket?.close();
  }

  async #fetchToken(): Promise<string> {
    const { token } = this.#options;
    return typeof token === 'function' ? await token() : token;
  }

  #open(token: string): void {
    if (this.#over) return;
    try {
      // Browsers cannot set headers, so that the token travels as a subprotocol.
      const protocols = token === '' ? [subprotocol] : [subprotocol, `${bearerProtocolPrefix}${token}`];
      this.#socket = new this.#options.WebSocket(this.#options.url, protocols);
    } catch (error) {
      this.#fail(error, 'the WebSocket could not be made; a token may hold only the characters of a JWT');
      return;
    }
    this.#socket.addEventListener('message', (event) => {
      if (!this.#over) this.#receive(event.data);
    });
    this.#socket.addEventListener('close', ({ code, reason }) => {
      this.#down(code, `the connection ended (code ${code}${reason === '' ? '' : `, ${reason}`})`);
    });
    let opened = false;
    this.#socket.addEventListener('open', () => {
      opened = true;
    });
    // Once open, a close event follows and tells more. Before that Node 22 says nothing else; and no platform says why.
    this.#socket.addEventListener('error', () => {
      if (!opened) this.#down(undefined, 'the server cannot be reached, or refused the connection or its token');
    });
  }

  #receive(data: unknown): void {
    this.#heartbeat?.heard();
    const message = decode(data);
    if (message === undefined) this.#options.report(new Error('the server sent a frame that is no message'));
    else if (message.type === 'welcome') this.#welcome(message);
    else if (message.type !== 'pong') this.#owner.onMessage(message);
  }

  #welcome(welcome: Welcome): void {
    const socket = this.#socket;
    if (this.#welcomed || socket === undefined) return;
    this.#welcomed = true;
    this.#cancelTimeout();
    this.#heartbeat = new Heartbeat(
      this.#options.clock,
      () => socket.send('{"type":"ping"}'),
      () => this.#down(undefined, 'the server stopped answering'),
    );
    this.#owner.onWelcome(welcome);
  }

  #fail(error: unknown, why: string): void {
    if (this.#over) return;
    this.#options.report(error);
    this.#down(undefined, why);
  }

  #down(code: number | undefined, why: string): void {
    if (this.#over) return;
    this.drop();
    this.#owner.onDown(code, why);
  }
}

function decode(data: unknown): ServerMessage | undefined {
  if (typeof data !== 'string') return undefined;
  try {
    const message: unknown = JSON.parse(data);
    return typeof message === 'object' && message !== null && 'type' in message
      ? (message as ServerMessage)
      : undefined;
  } catch {
    return undefined;
  }
}
