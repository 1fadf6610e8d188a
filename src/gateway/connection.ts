/**
 * One open WebSocket: what may be sent to it and when it has to go.
 *
 * Invariants: nothing touches the socket after `close` or `end`; uWebSockets throws then · a reply is never dropped
 * silently: a client that reads too slowly gets 4408 and nothing after it (P9) · messages of one tick leave under one
 * cork, in order.
 */
import type { WebSocket } from 'uWebSockets.js';
import type { ErrorBody } from '../protocol/errors.ts';
import type { Limits } from '../protocol/limits.ts';
import { closeCodes, errorResult, type ServerMessage } from '../protocol/messages.ts';
import type { CallId, Refused } from '../protocol/decode.ts';
import { PlainCalls } from '../protocol/plain-call.ts';
import type { Principal } from './auth.ts';
import type { HeldFrames } from './held-frames.ts';
import type { Line } from './line.ts';
import type { GatewayMeters } from './meters.ts';
import { TokenBucket } from './rate-limit.ts';
import type { Session } from './session.ts';

/** What rides on each uWebSockets socket: set at the upgrade, completed when the socket opens. */
export interface SocketData {
  readonly principal: Principal;
  /** Did the client ask for `fermata.v1`? */
  readonly additions: boolean;
  /** Of the upgrade, when its calls are to be named by it; else ''. */
  readonly requestId: string;
  connection: Connection | undefined;
}

/** Refusals, in multiples of the burst, after which a client that does not slow down is closed. */
const refusedBurstsMax = 10;

export class Connection implements Line {
  /** Changes once at most, when the client comes back for an older one. Owned by `Sessions`. */
  session: Session;
  readonly additions: boolean;
  /** What the ids of its calls in logs begin with; '' when nobody asked for any. */
  readonly requestId: string;
  /** Whose token it stands on; another one when the client renews it. Tenant and user stay. */
  principal: Principal;
  /** Keys of the topics it has joined. Written by the outlet. */
  readonly topics = new Set<string>();
  /** Reads what its client sends, when that is a call like most. */
  readonly calls = new PlainCalls();
  /** Frames that its client has sent. */
  frames = 0;
  /** Pings and pongs that its client has sent. */
  controls = 0;
  /** Those that wait until its session is known; undefined when it is, as nearly always. */
  held: HeldFrames | undefined;
  readonly #limits: Limits;
  readonly #meters: GatewayMeters;
  readonly #messages: TokenBucket;
  readonly #refusals: TokenBucket;
  #ws: WebSocket<SocketData> | undefined;
  /** The socket, from when it lost a message until it is ended for that. */
  #lossy: WebSocket<SocketData> | undefined;
  #outbox: string[] = [];
  /** What its client had sent at the last look, and how many looks ago that was something new. */
  #heard = 0;
  #silentS = 0;

  constructor(ws: WebSocket<SocketData>, session: Session, limits: Limits, nowMs: number, meters: GatewayMeters) {
    const { principal, additions, requestId } = ws.getUserData();
    const { messagesPerSecond, messagesBurst } = limits;
    this.#ws = ws;
    this.session = session;
    this.additions = additions;
    this.requestId = requestId;
    this.principal = principal;
    this.#limits = limits;
    this.#meters = meters;
    this.#messages = new TokenBucket(messagesPerSecond, messagesBurst, nowMs);
    this.#refusals = new TokenBucket(messagesPerSecond, messagesBurst * refusedBurstsMax, nowMs);
  }

  get open(): boolean {
    return this.#ws !== undefined;
  }

  get bufferedBytes(): number {
    return this.#ws?.getBufferedAmount() ?? 0;
  }

  /** Milliseconds to wait when the client sends too much, 0 when its message may pass. Ends clients that go on and on. */
  throttle(nowMs: number): number {
    if (this.#messages.take(nowMs)) return 0;
    if (!this.#refusals.take(nowMs)) this.end(closeCodes.rateLimited, 'rate limit');
    return Math.max(1, this.#messages.waitMs);
  }

  /** Sends at once. */
  send(text: string): void {
    if (this.#ws === undefined || this.endIfSlow()) return;
    this.#meters.sent(text.length);
    if (this.#ws.send(text) === dropped) this.end(closeCodes.tooSlow, 'too slow');
  }

  sendMessage(message: ServerMessage): void {
    this.send(JSON.stringify(message));
  }

  /** The answer to a call that went wrong, as this client knows it. */
  errorText(id: CallId, error: ErrorBody): string {
    this.#meters.told(error);
    return errorResult(id, error, this.additions);
  }

  /** Refusals that belong to no rpc exist only for clients that know the frame. */
  sendRefusal(re: Refused | undefined, error: ErrorBody): void {
    this.#meters.told(error);
    if (!this.additions) return;
    const { code, message, retryable, retryAfterMs } = error;
    const after = retryAfterMs === undefined ? {} : { retryAfterMs };
    this.sendMessage({ type: 'error', ...(re === undefined ? {} : { re }), code, message, retryable, ...after });
  }

  /** Keeps the text for `flush`. True when it is the first one kept. */
  queue(text: string): boolean {
    if (this.#ws === undefined) return false;
    return this.#outbox.push(text) === 1;
  }

  flush(): void {
    const texts = this.#outbox;
    const ws = this.#ws;
    if (texts.length === 0) return;
    this.#outbox = [];
    if (ws === undefined) return;
    if (texts.length === 1) this.send(texts[0]!);
    else ws.cork(() => this.#sendAll(texts));
  }

  /** uWebSockets sends it to whoever has joined the topic. */
  published(): void {
    this.flush();
  }

  #sendAll(texts: readonly string[]): void {
    const bytesMax = this.#limits.socketBufferBytesMax;
    let room = 0;
    for (const text of texts) {
      // The buffer is asked again only when it may be full: the question costs as much as a short message.
      if (room <= 0 && this.endIfSlow()) return;
      if (room <= 0) room = bytesMax - this.bufferedBytes;
      if (this.#ws === undefined) return;
      this.#meters.sent(text.length);
      if (this.#ws.send(text) === dropped) {
        this.end(closeCodes.tooSlow, 'too slow');
        return;
      }
      room -= text.length;
    }
  }

  /** Ends the connection when too much waits for it. True when it is closed. */
  endIfSlow(): boolean {
    if (this.bufferedBytes > this.#limits.socketBufferBytesMax) this.end(closeCodes.tooSlow, 'too slow');
    return this.#ws === undefined;
  }

  joinTopic(topic: string): void {
    this.#ws?.subscribe(topic);
  }

  leaveTopic(topic: string): void {
    this.#ws?.unsubscribe(topic);
  }

  /** Asked once per second: for how many seconds nothing whole came from the client. */
  countSilence(): number {
    const heard = this.frames + this.controls;
    this.#silentS = heard === this.#heard ? this.#silentS + 1 : 0;
    this.#heard = heard;
    return this.#silentS;
  }

  ping(): void {
    this.#ws?.ping();
  }

  /** Ends it at once, without a close frame: the client is in the middle of one of its own. */
  cut(): void {
    const ws = this.#ws;
    this.#ws = undefined;
    ws?.close();
  }

  /** Sends what is buffered, then a close frame. uWebSockets calls the close handler before this returns. */
  end(code: number, reason: string): void {
    const ws = this.#ws;
    this.#ws = undefined;
    ws?.end(code, reason);
  }

  /**
   * uWebSockets has dropped a message: nothing may follow it. It says so from within its own work on the socket, a publish or a
   * pong, and reads what is freed when the socket is closed there. So the end comes when that is done.
   */
  lost(): void {
    if (this.#ws === undefined) return;
    this.#lossy = this.#ws;
    this.#ws = undefined;
    setImmediate(() => this.#lossy?.end(closeCodes.tooSlow, 'too slow'));
  }

  /** The socket is gone. */
  closed(): void {
    this.#ws = undefined;
    this.#lossy = undefined;
    this.#outbox = [];
  }
}

/** What `send` returns when the backpressure limit made it drop the message. */
const dropped = 2;
