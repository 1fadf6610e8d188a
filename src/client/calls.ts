/**
 * The outbox: every call that is not settled, in the order of calling.
 *
 *   made ──▶ queued ──▶ sent ──answer──▶ settled        (timeout, abort and close settle from anywhere)
 *              ▲          │
 *              └── rest ──┴ refused for now, outcome unknown, or connection lost
 *
 * A call is sent again under the same key, which is what makes its effect happen once. Servers without keys get nothing
 * twice: there a lost connection ends the call as unknown.
 *
 * Invariants: a call leaves the outbox exactly when it settles, so that it settles once and a late answer finds nothing ·
 * the queue is in the order of calling, and a call never overtakes an earlier queued one to the same actor · `rejected` is
 * said only when no attempt may have run.
 */
import { Backoff } from './backoff.ts';
import type { Call, CallOptions, CallTarget } from './call.ts';
import { CallNumbers } from './call-numbers.ts';
import type { Cancel, Clock } from './clock.ts';
import { answeredError, FermataError, type Result } from './error.ts';

/** What calls know of the connection. */
export interface CallLink {
  /** False when nothing can be sent now. */
  send(text: string): boolean;
  /** Why there is no connection, once that is known. */
  readonly error: FermataError | undefined;
}

/** What the server of the present connection takes. */
export interface Terms {
  /** It knows keys, and forgets what is acknowledged. */
  readonly keys: boolean;
  readonly frameBytesMax: number;
  /** Calls that may be without an answer at a time. */
  readonly callsMax: number;
}

/** Calls that may be open at a time, waiting ones included. The next one is refused. */
const openCallsMax = 1024;
const retryDelays = { baseMs: 100, capMs: 5000 };
/** No server may put a call off for longer than this. */
const retryAfterMsMax = 60_000;

export class Calls {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #link: CallLink;
  readonly #numbers = new CallNumbers();
  readonly #open = new Map<string, Call>();
  /** Those that have to leave, in the order of calling. */
  #queue: Call[] = [];
  /** Ids without an answer on this connection. Calls that were given up are among them: the server counts those too. */
  readonly #inFlight = new Set<string>();
  /** Undefined without a connection. */
  #terms: Terms | undefined;
  #count = 0;
  /** Set once no connection will come any more. */
  #ended: FermataError | undefined;

  constructor(clock: Clock, timeoutMs: number, link: CallLink) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#link = link;
  }

  /** Rejects with a FermataError, never throws. The input is serialised now; what happens to it later is not sent. */
  call(target: CallTarget, input: unknown, options: CallOptions): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    // Whoever drops the promise hears nothing of its rejection; whoever awaits it does.
    promise.catch(() => {});
    const refusal = this.#refusalOf(options);
    if (refusal !== undefined) {
      reject(refusal);
      return promise;
    }
    this.#count += 1;
    const id = `c${this.#count}`;
    const { key, traceparent, retry = true, timeoutMs = this.#timeoutMs } = options;
    let head: string;
    try {
      head = JSON.stringify({ type: 'rpc', id, ...target, input, key }).slice(0, -1);
    } catch (cause) {
      reject(refused('INVALID', 'The input cannot be written as JSON', cause, false));
      return promise;
    }
    const call: Call = {
      id,
      order: this.#count,
      to: `${target.actor}\n${target.actorId}`,
      name: `${target.actor}.${target.method}`,
      head,
      hasKey: key !== undefined,
      traceparent,
      retry,
      dueAt: this.#clock.now() + timeoutMs,
      resolve,
      reject,
      release: () => {},
      n: 0,
      sent: false,
      uncertain: false,
      rest: undefined,
      backoff: undefined,
      error: undefined,
    };
    this.#open.set(id, call);
    this.#queue.push(call);
    call.release = this.#watch(call, timeoutMs, options.signal);
    this.#pump();
    return promise;
  }

  /** Connected: what waits leaves, and what had no answer leaves again, in the order of calling. */
  resume(terms: Terms): void {
    this.#terms = terms;
    if (!terms.keys) {
      for (const call of this.#open.values()) if (call.uncertain) this.#failLost(call, call.error);
    }
    this.#pump();
  }

  /** Returns whether the call succeeded. */
  settle(result: Result): boolean {
    this.#inFlight.delete(result.id);
    const call = this.#open.get(result.id);
    // No call: it timed out or was aborted, and its caller knows.
    if (call?.sent === true) {
      if (result.error === undefined) {
        this.#close(call);
        call.resolve(result.result);
      } else this.#refuse(call, answeredError(result, result.error));
    }
    this.#pump();
    return result.error === undefined;
  }

  /** The connection is lost: nobody will say how the calls that were sent ended, so they are asked for again. */
  lose(error: FermataError): void {
    const keys = this.#terms?.keys === true;
    this.#terms = undefined;
    this.#inFlight.clear();
    for (const call of this.#open.values()) {
      if (!call.sent) continue;
      if (keys && call.retry) Object.assign(call, { sent: false, uncertain: true, error });
      else this.#failLost(call, error);
    }
    this.#queue = [...this.#open.values()];
  }

  end(error: FermataError): void {
    this.#ended = error;
    for (const call of this.#open.values()) this.#fail(call, error.code, error.message, error);
  }

  #refusalOf({ signal }: CallOptions): FermataError | undefined {
    if (this.#ended !== undefined) return refused(this.#ended.code, this.#ended.message, this.#ended, false);
    if (signal?.aborted === true) return refused('ABORTED', 'The call was aborted before it was made', signal.reason);
    if (this.#open.size < openCallsMax) return undefined;
    return refused('OVERLOADED', `${openCallsMax} calls of this client are already open`, this.#link.error);
  }

  #watch(call: Call, timeoutMs: number, signal: AbortSignal | undefined): Cancel {
    const cancelTimer = this.#clock.after(timeoutMs, () => {
      const why = call.sent ? 'no answer' : call.error === undefined ? 'not sent' : 'no success';
      this.#fail(call, 'TIMEOUT', `${call.name}: ${why} within ${timeoutMs} ms`, call.error ?? this.#link.error);
      this.#pump();
    });
    if (signal === undefined) return cancelTimer;
    const abort = (): void => {
      this.#fail(call, 'ABORTED', `${call.name}: aborted`, signal.reason);
      this.#pump();
    };
    signal.addEventListener('abort', abort, { once: true });
    return () => {
      cancelTimer();
      signal.removeEventListener('abort', abort);
    };
  }

  /** Sends what may leave now. A call that must stay holds back the later ones to its actor. */
  #pump(): void {
    const terms = this.#terms;
    if (terms === undefined || this.#queue.length === 0) return;
    const held = new Set<string>();
    const queue = this.#queue;
    this.#queue = [];
    for (const call of queue) {
      const stays = call.rest !== undefined || this.#inFlight.size >= terms.callsMax || held.has(call.to);
      if (!stays && this.#leave(call, terms)) continue;
      held.add(call.to);
      this.#queue.push(call);
    }
  }

  /** False when the call has to stay. */
  #leave(call: Call, { keys, frameBytesMax }: Terms): boolean {
    const text = this.#textOf(call, keys);
    if (isLargerThan(text, frameBytesMax)) {
      this.#fail(call, 'TOO_LARGE', `${call.name}: the server takes at most ${frameBytesMax} bytes per message`);
      return true;
    }
    call.sent = this.#link.send(text);
    if (call.sent) this.#inFlight.add(call.id);
    return call.sent;
  }

  #textOf(call: Call, keys: boolean): string {
    let text = call.head;
    if (keys && call.traceparent !== undefined) text += `,"traceparent":${JSON.stringify(call.traceparent)}`;
    if (keys && !call.hasKey) {
      if (call.n === 0) call.n = this.#numbers.take(call.to);
      text += `,"key":"${this.#numbers.client}:${call.n}","ack":${this.#numbers.ack(call.to)}`;
    }
    // Past its deadline the server need not start it: its caller is gone.
    const leftMs = Math.max(1, Math.ceil(call.dueAt - this.#clock.now()));
    return Number.isFinite(leftMs) ? `${text},"deadlineMs":${leftMs}}` : `${text}}`;
  }

  #refuse(call: Call, error: FermataError): void {
    call.sent = false;
    call.uncertain ||= error.outcome === 'unknown';
    const keyed = this.#terms?.keys === true;
    if (call.retry && (error.outcome === 'unknown' ? keyed : error.outcome === 'rejected' && error.retryable)) {
      this.#rest(call, error);
      return;
    }
    this.#close(call);
    const { code, message, retryable, retryAfterMs } = error;
    // This attempt was refused. What became of an earlier one is not known by that.
    const unknown = call.uncertain && error.outcome === 'rejected';
    call.reject(
      unknown ? new FermataError(code, message, { outcome: 'unknown', retryable, retryAfterMs, cause: error }) : error,
    );
  }

  #rest(call: Call, error: FermataError): void {
    call.error = error;
    call.backoff ??= new Backoff(retryDelays, () => this.#clock.random());
    const delayMs = Math.min(error.retryAfterMs ?? 0, retryAfterMsMax) + call.backoff.nextDelayMs();
    call.rest = this.#clock.after(delayMs, () => {
      call.rest = undefined;
      this.#pump();
    });
    let at = this.#queue.length;
    while (at > 0 && this.#queue[at - 1]!.order > call.order) at -= 1;
    this.#queue.splice(at, 0, call);
  }

  #failLost(call: Call, cause: unknown): void {
    this.#fail(call, 'CONNECTION_LOST', `${call.name}: the connection was lost before the answer came`, cause);
  }

  #fail(call: Call, code: string, message: string, cause?: unknown): void {
    this.#close(call);
    const outcome = call.sent || call.uncertain ? 'unknown' : 'rejected';
    const retryable = code === 'TIMEOUT' || code === 'CONNECTION_LOST' || code === 'ABORTED';
    call.reject(new FermataError(code, message, { outcome, retryable, cause }));
  }

  #close(call: Call): void {
    this.#open.delete(call.id);
    const at = this.#queue.indexOf(call);
    if (at >= 0) this.#queue.splice(at, 1);
    if (call.n > 0) this.#numbers.end(call.to, call.n);
    call.rest?.();
    call.release();
  }
}

function refused(code: string, message: string, cause: unknown, retryable = true): FermataError {
  return new FermataError(code, message, { outcome: 'rejected', retryable, cause });
}

/** A character takes one to three bytes, so that only long texts must be measured. */
function isLargerThan(text: string, bytesMax: number): boolean {
  return text.length * 3 > bytesMax && new TextEncoder().encode(text).length > bytesMax;
}
