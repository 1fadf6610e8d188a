/**
 * What gateways and shards say to each other: frames, batches of envelopes as one string.
 *
 *   gateway ── inbound frame: a JSON array of tuples, one per envelope ──▶ shard
 *   gateway ◀── outbound frame: records `op a,b,c,length;body`, bodies passed through unparsed ── shard
 *
 * A string per tick and destination crosses threads at millions of envelopes per second; an object per call does not
 * (116 k/s, measured on 2 cores). Outbound bodies are ready-made JSON text: the gateway only cuts them out and sends
 * them. Order within a frame and between frames of one pair is kept, and everything else builds on that.
 */

import { quote } from './json-text.ts';
import { noTrace } from './trace.ts';

/** Who is calling, from the verified token. Sent once per session and shard. */
export interface SessionInfo {
  readonly tenant: string;
  /** Unique for ever; the same across the connections and gateways of one client. '' for `http`. */
  readonly sessionId: string;
  readonly clientId: string;
  /** The token's subject; null without authentication (development only). */
  readonly userId: string | null;
  readonly claims: Readonly<Record<string, unknown>>;
  /**
   * `http`: calls without a connection behind them; they join no actor's `clients` · `sse`: one stream of events over HTTP,
   * with the additions, refused by actors that have no events.
   */
  readonly kind: 'ws' | 'http' | 'sse';
  /** Did the client ask for `fermata.v1`? Others get frames of the base set only. */
  readonly additions: boolean;
}

export const inboundOp = {
  open: 0,
  end: 1,
  call: 2,
  subscribe: 3,
  unsubscribe: 4,
  read: 5,
  detach: 6,
  present: 7,
  leave: 8,
} as const;

/** What a subscription is about. */
export type Stream = 'state' | 'event';

/**
 * session: number given by the gateway, unique for its life · call: number given by the gateway, answered exactly once ·
 * key: '' without · ack: -1 when the key is not `<client>:<n>` of a client that numbers its calls · deadlineMs: 0 without,
 * below 0 when it is over, so that all that can be told is what an earlier attempt came to · input: absent when the client
 * sent none · trace: as `trace.ts` writes it, absent when the call has none; `noInput` then says that the client sent no
 * input, and `null` stands in its place · epoch, seq: the position that a subscriber was at, absent when it starts.
 *
 * `open` with a sessionId that is known under another number takes that session over: the client came back through
 * another gateway · `detach`: its connection is lost; it stays connected to its actors and subscribes anew when it is back ·
 * `present`: these are all sessions of this gateway; others that the shard knows of it have ended. Sent by a gateway that
 * starts, and to a shard that was started anew · `leave`: another process has the session's actors now, and the session with
 * them; it is forgotten here, and nobody is told goodbye.
 */
export type Inbound =
  | readonly [op: typeof inboundOp.open, session: number, info: SessionInfo]
  | readonly [op: typeof inboundOp.end, session: number]
  | readonly [op: typeof inboundOp.detach, session: number]
  | readonly [op: typeof inboundOp.leave, session: number]
  | readonly [op: typeof inboundOp.present, none: 0, sessions: readonly number[]]
  | readonly [
      op: typeof inboundOp.call,
      session: number,
      call: number,
      type: string,
      id: string,
      method: string,
      key: string,
      ack: number,
      deadlineMs: number,
      input?: unknown,
      trace?: string,
      noInput?: true,
    ]
  | readonly [
      op: typeof inboundOp.subscribe,
      session: number,
      type: string,
      id: string,
      stream: Stream,
      epoch?: string,
      seq?: number,
    ]
  | readonly [op: typeof inboundOp.unsubscribe, session: number, type: string, id: string, stream: Stream]
  | readonly [op: typeof inboundOp.read, session: number, call: number, type: string, id: string];

/** Gathers envelopes for one shard until the tick ends. */
export class InboundFrame {
  #text = '';
  count = 0;

  add(envelope: Inbound): void {
    this.#push(JSON.stringify(envelope));
  }

  /** The hot path: names are known to be plain, so that only id, key and input need escaping. */
  addCall(
    session: number,
    call: number,
    type: string,
    id: string,
    method: string,
    key: string,
    ack: number,
    deadlineMs: number,
    input: unknown,
    trace = noTrace,
  ): void {
    const head = `[2,${session},${call},"${type}",${quote(id)},"${method}",${quote(key)},${ack},${deadlineMs}`;
    if (trace !== noTrace) this.#push(`${head},${tracedTail(input, trace)}]`);
    else this.#push(input === undefined ? `${head}]` : `${head},${JSON.stringify(input)}]`);
  }

  #push(text: string): void {
    this.#text = this.count === 0 ? `[${text}` : `${this.#text},${text}`;
    this.count += 1;
  }

  /** The frame so far, or undefined when nothing was added; starts the next one. */
  take(): string | undefined {
    if (this.count === 0) return undefined;
    const frame = `${this.#text}]`;
    this.#text = '';
    this.count = 0;
    return frame;
  }
}

function tracedTail(input: unknown, trace: string): string {
  return input === undefined
    ? `null,${JSON.stringify(trace)},true`
    : `${JSON.stringify(input)},${JSON.stringify(trace)}`;
}

export function decodeInbound(frame: string): Inbound[] {
  return JSON.parse(frame) as Inbound[];
}

/**
 * Outbound operations, one letter each, with what a, b and c mean:
 * - `K` call a ended ok: b = 1 when durable, c = sequence number of the state (reads only), body = result JSON or empty
 * - `E` call a ended otherwise: body = ErrorBody JSON
 * - `M` message for session a; body = wire text
 * - `T` wire text for several sessions: body = their numbers, joined by commas, `;`, text
 * - `S` session a joins topic b · `U` session a leaves topic b
 * - `P` wire text for every session of topic a
 */
export type OutboundOp = 'K' | 'E' | 'M' | 'T' | 'S' | 'U' | 'P';

export interface Outbound {
  readonly op: OutboundOp;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly body: string;
}

/** Gathers records for one gateway until its turns are committed. */
export class OutboundFrame {
  #text = '';

  add(op: OutboundOp, a: number, b: number, c: number, body: string): void {
    this.#text += `${op}${a},${b},${c},${body.length};${body}`;
  }

  get chars(): number {
    return this.#text.length;
  }

  take(): string | undefined {
    if (this.#text === '') return undefined;
    const frame = this.#text;
    this.#text = '';
    return frame;
  }
}

/** Calls `visit` for each record, in order. Digits are read one by one: a slice per number would cost more than all the rest. */
export function decodeOutbound(
  frame: string,
  visit: (op: OutboundOp, a: number, b: number, c: number, body: string) => void,
): void {
  let at = 0;
  const number = (): number => {
    let value = 0;
    for (let digit = frame.charCodeAt(at) - zero; digit >= 0 && digit <= 9; digit = frame.charCodeAt(at) - zero) {
      value = value * 10 + digit;
      at += 1;
    }
    // Over the separator.
    at += 1;
    return value;
  };
  while (at < frame.length) {
    const op = frame[at] as OutboundOp;
    at += 1;
    const a = number();
    const b = number();
    const c = number();
    const length = number();
    const body = frame.slice(at, at + length);
    at += length;
    visit(op, a, b, c, body);
  }
}

const zero = 48;
