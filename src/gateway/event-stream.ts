/**
 * One actor's events as an answer over HTTP: `text/event-stream`, until somebody ends it.
 *
 *   request ─▶ waits for its shard ── refused ──▶ an error, as every route gives it
 *                    └── joined ──▶ 200, then each frame as an event ──▶ a last comment, and the end
 *
 * It stands among the connections under its session's number, and the outlet gives it what it would give a WebSocket. It
 * cannot go on in a session: a client that lost its stream comes with `Last-Event-ID`, the place where it was.
 *
 * Invariants: nothing is sent before the shard has accepted · whatever could leave a hole (a lost shard, an actor that
 * cannot be had, a slow reader) ends the stream, so that the client asks for what it missed.
 */
import { AppError, type ErrorBody } from '../protocol/errors.ts';
import type { Limits } from '../protocol/limits.ts';
import { closeCodes, type ServerMessage, type StreamPosition } from '../protocol/messages.ts';
import type { Principal } from './auth.ts';
import type { EventFrame, EventFrames } from './event-frames.ts';
import type { Exchange } from './exchange.ts';
import { streamHeaders } from './headers.ts';
import type { Line } from './line.ts';
import type { GatewayMeters } from './meters.ts';
import { OpenBody } from './open-body.ts';
import type { Session } from './session.ts';
import { draining } from './upgrade.ts';

export interface EventStreamParts {
  readonly exchange: Exchange;
  readonly session: Session;
  readonly principal: Principal;
  /** Does it tell the state as well? */
  readonly withState: boolean;
  /** Where its client was. */
  readonly since: StreamPosition | undefined;
  /** Milliseconds after which its client shall come back. */
  readonly retryMs: number;
  readonly frames: EventFrames;
  readonly limits: Limits;
  readonly meters: GatewayMeters;
  /** It has ended, with the close code that a WebSocket would have. Called once. */
  readonly onEnd: (stream: EventStream, code: number) => void;
}

/** Below the minute after which proxies give up a silent answer, and what HTML advises. */
const keepAliveS = 15;

export class EventStream implements Line {
  session: Session;
  readonly additions = false;
  readonly principal: Principal;
  readonly requestId: string;
  readonly topics = new Set<string>();
  readonly #parts: EventStreamParts;
  /** Undefined until the shard has accepted. */
  #body: OpenBody | undefined;
  #ended = false;
  #outbox: string[] = [];
  #position: StreamPosition | undefined;
  /** Seconds since something was written. */
  #quietS = 0;

  constructor(parts: EventStreamParts) {
    const { exchange, session, principal, since } = parts;
    this.#parts = parts;
    this.session = session;
    this.principal = principal;
    this.requestId = exchange.requestId;
    this.#position = since;
    exchange.onGone = () => {
      this.#body?.gone();
      this.#finish(clientLeft);
    };
  }

  get open(): boolean {
    return !this.#ended;
  }

  get bufferedBytes(): number {
    return this.#body?.bufferedBytes ?? 0;
  }

  /** Seconds for which it has waited for its shard; 0 once that has accepted. */
  get waitedS(): number {
    return this.#body === undefined ? this.#quietS : 0;
  }

  /** The shard has accepted. */
  joinTopic(): void {
    if (this.#ended || this.#body !== undefined) return;
    const { exchange, retryMs } = this.#parts;
    const { clientId } = this.session.info;
    const first = `retry: ${retryMs}\nevent: fermata:open\ndata: ${JSON.stringify({ clientId })}\n\n`;
    const res = exchange.begin(streamHeaders, first);
    if (res !== undefined) this.#body = new OpenBody(res, filler);
  }

  /** Its shard is gone, or its actor cannot be had: nobody would say what is missed from here on. */
  leaveTopic(): void {
    this.end(closeCodes.restart, 'interrupted');
  }

  queue(text: string): boolean {
    return !this.#ended && this.#outbox.push(text) === 1;
  }

  flush(): void {
    const texts = this.#outbox;
    this.#outbox = [];
    this.#follow(texts);
  }

  published(text: string): void {
    this.flush();
    const frame = this.#parts.frames.read(text);
    // Counted by who publishes it.
    if (frame.kind !== 'refused') this.#write(this.#textOf(frame));
  }

  sendMessage(message: ServerMessage): void {
    if (message.type !== 'server:shutdown') return;
    if (this.#body === undefined) this.refuse(draining);
    else this.#write(`retry: ${message.reconnectInMs}\n: ${message.reason}\n\n`);
  }

  /** With an answer of its own before the stream has begun, with an event and the end after that. */
  refuse(error: ErrorBody): void {
    if (this.#ended) return;
    const { exchange, meters } = this.#parts;
    this.#finish(closeCodes.normal);
    if (this.#body === undefined) return exchange.fail(error);
    meters.told(error);
    this.#body.end(`event: fermata:error\ndata: ${JSON.stringify(error)}\n\n`);
  }

  endIfSlow(): boolean {
    if (this.bufferedBytes > this.#parts.limits.socketBufferBytesMax) this.end(closeCodes.tooSlow, 'too slow');
    return this.#ended;
  }

  /** Its client has nothing to say. */
  countSilence(): number {
    return 0;
  }

  /** Called once per second: proxies take a silent answer for a dead one. */
  keepAlive(): void {
    this.#quietS += 1;
    if (this.#quietS >= keepAliveS && this.bufferedBytes === 0) this.ping();
  }

  ping(): void {
    this.#write(filler);
  }

  cut(): void {
    this.#finish(closeCodes.lost);
    this.#body?.close();
  }

  end(code: number, reason: string): void {
    if (this.#ended) return;
    // First: a response that is closed tells at once that its client has gone.
    this.#finish(code);
    if (this.#body === undefined) this.#parts.exchange.fail(code === closeCodes.unauthorized ? unauthorized : away);
    else if (code === closeCodes.tooSlow) this.#body.close();
    else this.#body.end(`: ${reason}\n\n`);
  }

  /** Several frames in one write. */
  #follow(texts: readonly string[]): void {
    let told = '';
    for (const text of texts) {
      if (this.#ended) return;
      const frame = this.#parts.frames.read(text);
      if (frame.kind === 'refused') {
        if (this.#ignores(frame)) continue;
        this.#write(told);
        return this.refuse(frame.error);
      }
      told += this.#textOf(frame);
      this.#parts.meters.sent(text.length);
    }
    this.#write(told);
  }

  /** An actor without events has a state to tell of. */
  #ignores({ type, error }: Extract<EventFrame, { kind: 'refused' }>): boolean {
    return this.#parts.withState && type === 'event:sub' && error.code === 'UNKNOWN_ROUTE';
  }

  #textOf(frame: Exclude<EventFrame, { kind: 'refused' }>): string {
    switch (frame.kind) {
      case 'event':
        return this.#event(frame);
      case 'position':
        return this.#move(frame);
      case 'state':
        return `event: ${frame.name}\ndata: ${frame.data}\n\n`;
      case 'other':
        return '';
    }
  }

  #event({ name, data, seq }: Extract<EventFrame, { kind: 'event' }>): string {
    const last = this.#position;
    if (seq === undefined || last === undefined) {
      this.#position = undefined;
      // The actor keeps no history any more: nobody can say what happened since the client's last event.
      const gap = last === undefined ? '' : gapAt('');
      return `${gap}event: ${name}\ndata: ${data}\n\n`;
    }
    if (seq <= last.seq) return '';
    this.#position = { epoch: last.epoch, seq };
    return `event: ${name}\nid: ${idOf(this.#position)}\ndata: ${data}\n\n`;
  }

  /** What follows comes after `position`. An id without data is no event: the client takes it as its place. */
  #move({ position, gap }: Extract<EventFrame, { kind: 'position' }>): string {
    const last = this.#position;
    const missed = gap || (last !== undefined && last.epoch !== position.epoch);
    if (missed || last === undefined || last.seq < position.seq) this.#position = position;
    const id = idOf(this.#position!);
    return missed ? gapAt(id) : `id: ${id}\n\n`;
  }

  #write(text: string): void {
    if (text === '' || this.#body === undefined || this.endIfSlow()) return;
    this.#quietS = 0;
    this.#body.write(text);
  }

  #finish(code: number): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#outbox = [];
    if (this.#body !== undefined) this.#parts.meters.closed(code);
    this.#parts.onEnd(this, code);
  }
}

/** A comment: every reader drops it. */
const filler = ':\n\n';
/** As of a WebSocket that was closed without a code. */
const clientLeft = 1005;
const unauthorized = new AppError('UNAUTHORIZED', 'Unauthorized').toBody();
const away = new AppError('OVERLOADED', 'This part of the server is being started again', {
  retryAfterMs: 1000,
}).toBody();

function idOf({ epoch, seq }: StreamPosition): string {
  return `${epoch}:${seq}`;
}

function gapAt(id: string): string {
  return `event: fermata:gap\nid: ${id}\ndata: {}\n\n`;
}
