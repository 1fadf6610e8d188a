/**
 * One HTTP request and its one answer. Owns the `HttpResponse` from the first line of the handler on: after an abort or
 * an answer nothing touches it again, because uWebSockets ends the process over that.
 *
 * Answers larger than the cork buffer may stay in user space for a while; `Unsent` counts those, so that a shutdown can
 * wait for them.
 */
import type { HttpRequest, HttpResponse, us_socket_context_t } from 'uWebSockets.js';
import { AppError, type ErrorBody, statusOf } from '../protocol/errors.ts';
import { isRequestId } from '../protocol/trace.ts';
import type { Anchor } from './anchor.ts';
import { apiHeaders, type Headers, statusLine } from './headers.ts';
import type { GatewayMeters } from './meters.ts';

/** Answers that were begun and have not left user space. One per gateway. */
export class Unsent {
  count = 0;
}

export interface ExchangeOptions {
  /** Close the connection after each answer: the process is going away. */
  readonly closing: boolean;
  readonly unsent: Unsent;
  readonly anchor: Anchor;
  readonly meters: GatewayMeters;
  /** Names requests that come without an id. */
  readonly newId: () => string;
}

/** Up to here `end` copies into the socket in one go; it does not say what the kernel has not taken. */
const wholeBytesMax = 16 * 1024;
const nothing = Buffer.alloc(0);

export class Exchange {
  /** Lower case. */
  readonly method: string;
  readonly path: string;
  /** The caller's, or one made here; every answer has it as `X-Request-Id`. */
  readonly requestId: string;
  /** Is it the caller's? */
  readonly isNamed: boolean;
  /** Added to the answer whatever it is: CORS, for example. */
  extraHeaders: Headers = [];
  /** Called when the client has gone before its answer was whole. */
  onGone: () => void = () => {};
  readonly #res: HttpResponse;
  readonly #options: ExchangeOptions;
  #open = true;
  #sending = false;

  constructor(res: HttpResponse, req: HttpRequest, options: ExchangeOptions) {
    this.method = req.getMethod();
    this.path = req.getUrl();
    const given = req.getHeader('x-request-id');
    this.isNamed = isRequestId(given);
    this.requestId = this.isNamed ? given : options.newId();
    this.#res = res;
    this.#options = options;
    res.onAborted(() => {
      this.#open = false;
      this.#sent();
      this.onGone();
    });
  }

  get open(): boolean {
    return this.#open;
  }

  /** Reads the body; more than `bytesMax` is answered here and `done` is not called. */
  readBody(bytesMax: number, done: (body: Buffer) => void): void {
    // In one buffer that grows: a chunk may be one byte, and to keep it as an object of its own takes a hundred.
    let body = nothing;
    let bytes = 0;
    this.#res.onData((chunk, isLast) => {
      if (!this.#open) return;
      const at = bytes;
      bytes += chunk.byteLength;
      if (bytes > bytesMax) {
        body = nothing;
        this.fail(new AppError('TOO_LARGE', `A body may have at most ${bytesMax} bytes`).toBody(), { close: true });
        return;
      }
      if (bytes > body.length) body = Buffer.concat([body], Math.max(bytes, body.length * 2));
      // The chunk's memory is taken back when this handler returns.
      body.set(new Uint8Array(chunk), at);
      if (isLast) done(body.subarray(0, bytes));
    });
  }

  json(status: number, body: string, headers: Headers = []): void {
    this.answer(status, body, [...apiHeaders, ['Content-Type', 'application/json'], ...headers]);
  }

  fail(error: ErrorBody, options: { status?: number; headers?: Headers; close?: boolean } = {}): void {
    this.#options.meters.told(error);
    const { status: _, ...sent } = error;
    const headers: [string, string][] = [];
    if (error.retryAfterMs !== undefined) headers.push(['Retry-After', String(Math.ceil(error.retryAfterMs / 1000))]);
    if (error.code === 'UNAUTHORIZED') headers.push(['WWW-Authenticate', 'Bearer']);
    this.answer(
      options.status ?? statusOf(error),
      JSON.stringify({ error: sent }),
      [...apiHeaders, ['Content-Type', 'application/json'], ...headers, ...(options.headers ?? [])],
      options.close,
    );
  }

  /** Does nothing after an abort or an earlier answer. */
  answer(status: number, body: string | Buffer, headers: Headers, close = false): void {
    if (!this.#open) return;
    this.#open = false;
    const res = this.#res;
    const closing = close || this.#options.closing;
    res.cork(() => {
      this.#head(status, headers);
      if (status === 204 || status === 304) res.endWithoutBody(undefined, closing);
      else if (this.method === 'head') res.endWithoutBody(Buffer.byteLength(body), closing);
      else if (Buffer.byteLength(body) <= wholeBytesMax) res.end(body, closing);
      else this.#stream(Buffer.from(body), closing);
    });
  }

  /**
   * Begins an answer that has no end yet, and hands the response on: from here on it is the caller's, until `onGone`.
   * Undefined after an abort or an earlier answer.
   */
  begin(headers: Headers, first: string): HttpResponse | undefined {
    if (!this.#open) return undefined;
    this.#open = false;
    const res = this.#res;
    res.cork(() => {
      this.#head(200, headers);
      res.write(first);
    });
    return res;
  }

  /** Answers with 101 and hands the socket on. Does nothing after an abort. */
  upgrade(data: object, key: string, protocol: string, extensions: string, context: us_socket_context_t): void {
    if (!this.#open) return;
    this.#open = false;
    const res = this.#res;
    const upgrade = (): void => {
      res.writeStatus(statusLine(101)).writeHeader('X-Request-Id', this.requestId);
      res.upgrade(data, key, protocol, extensions, context);
    };
    this.#options.anchor.cork(() => res.cork(upgrade));
  }

  #head(status: number, headers: Headers): void {
    const res = this.#res;
    res.writeStatus(statusLine(status));
    res.writeHeader('X-Request-Id', this.requestId);
    for (const [name, value] of headers) res.writeHeader(name, value);
    for (const [name, value] of this.extraHeaders) res.writeHeader(name, value);
  }

  #stream(body: Buffer, closing: boolean): void {
    const res = this.#res;
    // `end` closes by itself, `tryEnd` cannot: the client is asked to.
    if (closing) res.writeHeader('Connection', 'close');
    this.#sending = true;
    this.#options.unsent.count += 1;
    const start = res.getWriteOffset();
    const [, done] = res.tryEnd(body, body.length);
    if (done) {
      this.#sent();
      return;
    }
    res.onWritable((offset) => {
      const [ok, finished] = res.tryEnd(body.subarray(offset - start), body.length);
      if (finished) this.#sent();
      return ok;
    });
  }

  #sent(): void {
    if (!this.#sending) return;
    this.#sending = false;
    this.#options.unsent.count -= 1;
  }
}
