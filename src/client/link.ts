/**
 * One attempt to reach the server and, when it succeeds, the one socket that came of it: token, handshake, welcome, the
 * old session, frames, heartbeat, end. A link goes down once, tells so once, and is never used again.
 *
 *   token ──▶ socket ──welcome──▶ open             with a session to go on with:  ──welcome──hello──welcome──▶ open
 *
 * Invariant: after `drop()` or `onDown` nothing of this link is heard any more, whatever its socket still does. A
 * half-open socket may take minutes to close.
 */
import { bearerProtocolPrefix, closeCodes, type ServerMessage, subprotocol } from '../protocol/messages.ts';
import type { Cancel, Clock } from './clock.ts';
import { Heartbeat } from './heartbeat.ts';
import { askForRefusal } from './refusal-question.ts';
import type { Socket, SocketConstructor } from './socket.ts';

export interface LinkOptions {
  readonly url: string;
  readonly token: string | (() => string | Promise<string>);
  readonly WebSocket: SocketConstructor;
  /** From the start to the last welcome, the token's way included. */
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  readonly report: (error: unknown) => void;
}

export type Welcome = ServerMessage & { type: 'welcome' };

export interface LinkOwner {
  /** Open. `token` is the one that it was opened with. */
  onOpen(welcome: Welcome, token: string): void;
  /** Any message but `welcome` and `pong`. */
  onMessage(message: ServerMessage): void;
  /** `code` is the close code, or undefined when no close frame told one. `why` ends a sentence. */
  onDown(code: number | undefined, why: string): void;
}

export class Link {
  readonly #options: LinkOptions;
  /** Stands for the session to go on with. */
  readonly #resumeToken: string | undefined;
  readonly #owner: LinkOwner;
  readonly #cancelTimeout: Cancel;
  /** Ends the question why the attempt failed. */
  readonly #asking = new AbortController();
  #socket: Socket | undefined;
  #heartbeat: Heartbeat | undefined;
  /** The first welcome, while the second one is awaited. */
  #fresh: Welcome | undefined;
  #open = false;
  /** The socket has failed; what remains is to ask why. */
  #failed = false;
  #over = false;

  constructor(options: LinkOptions, resumeToken: string | undefined, owner: LinkOwner) {
    const { clock, connectTimeoutMs } = options;
    this.#options = options;
    this.#resumeToken = resumeToken;
    this.#owner = owner;
    this.#cancelTimeout = clock.after(connectTimeoutMs, () =>
      this.#down(undefined, `no welcome from the server within ${connectTimeoutMs} ms`),
    );
    this.fetchToken().then(
      (token) => this.#connect(token),
      (error: unknown) => this.#fail(error, 'the token could not be fetched'),
    );
  }

  send(text: string): void {
    this.#socket?.send(text);
  }

  async fetchToken(): Promise<string> {
    const { token } = this.#options;
    return typeof token === 'function' ? await token() : token;
  }

  /** Ends the link without a further word to its owner. The code tells the server whether the client will be back. */
  drop(code: number = closeCodes.normal): void {
    if (this.#over) return;
    this.#over = true;
    this.#cancelTimeout();
    this.#asking.abort();
    this.#heartbeat?.stop();
    this.#socket?.close(code);
  }

  #connect(token: string): void {
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
      if (!this.#over) this.#receive(event.data, token);
    });
    this.#socket.addEventListener('close', ({ code, reason }) => {
      this.#lost(code, `the connection ended (code ${code}${reason === '' ? '' : `, ${reason}`})`, token);
    });
    let opened = false;
    this.#socket.addEventListener('open', () => {
      opened = true;
    });
    // Once open, a close event follows and tells more. Before that Node 22 says nothing else; and no platform says why.
    this.#socket.addEventListener('error', () => {
      if (!opened) this.#lost(undefined, 'the server cannot be reached, or refused the connection', token);
    });
  }

  #receive(data: unknown, token: string): void {
    this.#heartbeat?.heard();
    const message = decode(data);
    if (message === undefined) this.#options.report(new Error('the server sent a frame that is no message'));
    else if (message.type === 'welcome') this.#welcome(message, token);
    else if (message.type === 'error' && message.re?.type === 'hello' && this.#fresh !== undefined) {
      // The session is not to be had, and the fresh one stands.
      this.#welcome(this.#fresh, token);
    } else if (message.type !== 'pong') this.#owner.onMessage(message);
  }

  #welcome(welcome: Welcome, token: string): void {
    const socket = this.#socket;
    if (this.#open || socket === undefined) return;
    const resumable = this.#resumeToken !== undefined && welcome.resumeToken !== undefined;
    if (resumable && this.#fresh === undefined) {
      this.#fresh = welcome;
      socket.send(JSON.stringify({ type: 'hello', resumeToken: this.#resumeToken }));
      return;
    }
    this.#open = true;
    this.#cancelTimeout();
    this.#heartbeat = new Heartbeat(
      this.#options.clock,
      welcome.heartbeatMs,
      () => socket.send('{"type":"ping"}'),
      () => this.#down(undefined, 'the server stopped answering'),
    );
    this.#owner.onOpen(welcome, token);
  }

  /** A browser cannot see that its upgrade was refused, so that an attempt which failed without a word asks. */
  #lost(code: number | undefined, why: string, token: string): void {
    const mute = code === undefined || code === closeCodeAbnormal;
    if (this.#over || this.#failed) return;
    if (!mute || this.#open || this.#fresh !== undefined) {
      this.#down(code, why);
      return;
    }
    this.#failed = true;
    void askForRefusal(this.#options.url, token, this.#asking.signal).then((refusal) =>
      this.#down(refusal ?? code, why),
    );
  }

  #fail(error: unknown, why: string): void {
    if (this.#over) return;
    this.#options.report(error);
    this.#down(undefined, why);
  }

  /** The client means to come back: the server keeps the session for a while. */
  #down(code: number | undefined, why: string): void {
    if (this.#over) return;
    this.drop(closeCodes.lost);
    this.#owner.onDown(code, why);
  }
}

/** What a platform says when no close frame came. */
const closeCodeAbnormal = 1006;

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
