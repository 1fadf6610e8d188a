/**
 * Every call that is not settled, in the order in which they were made: first waiting for a connection, then sent.
 *
 *   made ──▶ waiting ──connected──▶ sent ──▶ settled       (timeout, abort, loss and close settle from either)
 *
 * Invariants: a call leaves the map exactly when it settles, so that it settles once and a late answer finds nothing.
 * A call that never left ends `rejected`, one that did and has no answer ends `unknown`; nothing is sent twice.
 */
import type { ServerMessage } from '../protocol/messages.ts';
import type { Cancel, Clock } from './clock.ts';
import { FermataError } from './error.ts';

export interface CallOptions {
  /** Milliseconds until the call ends with TIMEOUT, the wait for a connection included. Infinity for no end. */
  readonly timeoutMs?: number | undefined;
  /** Gives the call up with ABORTED. What was sent is not called back. */
  readonly signal?: AbortSignal | undefined;
  /** Idempotency key: the same key with the same input has its effect once and gives the stored outcome, for 24 h. */
  readonly key?: string | undefined;
}

export interface CallTarget {
  readonly actor: string;
  readonly actorId: string;
  readonly method: string;
}

export type Result = ServerMessage & { type: 'rpc:result' };

/** What calls know of the connection. */
export interface CallLink {
  /** False when nothing can be sent now. */
  send(text: string): boolean;
  /** Why there is no connection, once that is known. */
  readonly error: FermataError | undefined;
}

/** Calls that may wait for a connection: as many as a connection takes at once. The next one is refused. */
const waitingCallsMax = 1024;

interface Call {
  readonly id: string;
  readonly name: string;
  /** The frame's text up to the deadline, which is written when it leaves. */
  readonly head: string;
  readonly dueAt: number;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: FermataError) => void;
  /** Ends the timer and the watch over the signal. */
  release: Cancel;
  sent: boolean;
}

export class Calls {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #link: CallLink;
  readonly #open = new Map<string, Call>();
  #waiting = 0;
  #count = 0;
  #frameBytesMax = Number.POSITIVE_INFINITY;
  /** Set once no connection will come any more. */
  #ended: FermataError | undefined;

  constructor(clock: Clock, timeoutMs: number, link: CallLink) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#link = link;
  }

  /** Rejects with a FermataError, never throws. The input is serialised now; what happens to it later is not sent. */
  call(target: CallTarget, input: unknown, options: CallOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const refusal = this.#refusalOf(options);
      if (refusal !== undefined) {
        reject(refusal);
        return;
      }
      this.#count += 1;
      const id = `c${this.#count}`;
      let head: string;
      try {
        head = JSON.stringify({ type: 'rpc', id, ...target, input, key: options.key }).slice(0, -1);
      } catch (cause) {
        reject(
          new FermataError('INVALID', 'The input cannot be written as JSON', {
            outcome: 'rejected',
            retryable: false,
            cause,
          }),
        );
        return;
      }
      const timeoutMs = options.timeoutMs ?? this.#timeoutMs;
      const name = `${target.actor}.${target.method}`;
      const call: Call = {
        id,
        name,
        head,
        dueAt: this.#clock.now() + timeoutMs,
        resolve,
        reject,
        release: () => {},
        sent: false,
      };
      this.#open.set(id, call);
      this.#waiting += 1;
      call.release = this.#watch(call, timeoutMs, options.signal);
      this.#leave(call);
    });
  }

  /** Connected: what waits leaves in the order in which it was called. */
  resume(frameBytesMax: number): void {
    this.#frameBytesMax = frameBytesMax;
    for (const call of this.#open.values()) {
      if (!call.sent) this.#leave(call);
    }
  }

  /** Returns whether the call succeeded. */
  settle(result: Result): boolean {
    const call = this.#open.get(result.id);
    // No call: it timed out or was aborted, and its caller knows.
    if (call === undefined || !call.sent) return result.error === undefined;
    this.#close(call);
    if (result.error === undefined) call.resolve(result.result);
    else call.reject(errorOf(result, result.error));
    return result.error === undefined;
  }

  /** The connection is lost: nobody will say how the calls that were sent ended. Those that wait go on waiting. */
  lose(error: FermataError): void {
    for (const call of this.#open.values()) {
      if (call.sent)
        this.#fail(call, error.code, `${call.name}: the connection was lost before the answer came`, error);
    }
  }

  end(error: FermataError): void {
    this.#ended = error;
    for (const call of this.#open.values()) this.#fail(call, error.code, error.message, error);
  }

  #refusalOf({ signal }: CallOptions): FermataError | undefined {
    if (this.#ended !== undefined) {
      const { code, message } = this.#ended;
      return new FermataError(code, message, { outcome: 'rejected', retryable: false, cause: this.#ended });
    }
    if (signal?.aborted === true) {
      return new FermataError('ABORTED', 'The call was aborted before it was made', {
        outcome: 'rejected',
        cause: signal.reason,
      });
    }
    if (this.#waiting >= waitingCallsMax) {
      return new FermataError('OVERLOADED', `${waitingCallsMax} calls already wait for a connection`, {
        outcome: 'rejected',
      });
    }
    return undefined;
  }

  #watch(call: Call, timeoutMs: number, signal: AbortSignal | undefined): Cancel {
    const cancelTimer = this.#clock.after(timeoutMs, () => {
      const why = call.sent ? 'no answer' : 'no connection';
      this.#fail(call, 'TIMEOUT', `${call.name}: ${why} within ${timeoutMs} ms`, this.#link.error);
    });
    if (signal === undefined) return cancelTimer;
    const abort = (): void => this.#fail(call, 'ABORTED', `${call.name}: aborted`, signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    return () => {
      cancelTimer();
      signal.removeEventListener('abort', abort);
    };
  }

  /** Sends the call if there is a way. */
  #leave(call: Call): void {
    // Past its deadline the server need not start it: its caller is gone.
    const leftMs = Math.max(1, Math.ceil(call.dueAt - this.#clock.now()));
    const text = Number.isFinite(leftMs) ? `${call.head},"deadlineMs":${leftMs}}` : `${call.head}}`;
    if (isLargerThan(text, this.#frameBytesMax)) {
      this.#fail(
        call,
        'TOO_LARGE',
        `${call.name}: the server takes at most ${this.#frameBytesMax} bytes per message`,
        undefined,
      );
    } else if (this.#link.send(text)) {
      call.sent = true;
      this.#waiting -= 1;
    }
  }

  #fail(call: Call, code: string, message: string, cause: unknown): void {
    this.#close(call);
    const outcome = call.sent ? 'unknown' : 'rejected';
    const retryable = code === 'TIMEOUT' || code === 'CONNECTION_LOST' || code === 'ABORTED';
    call.reject(new FermataError(code, message, { outcome, retryable, cause }));
  }

  #close(call: Call): void {
    this.#open.delete(call.id);
    if (!call.sent) this.#waiting -= 1;
    call.release();
  }
}

/** Servers without the additions send the message alone. */
function errorOf(result: Result, message: string): FermataError {
  const { code = 'ERROR', outcome, retryable = false, retryAfterMs } = result;
  return new FermataError(code, message, {
    outcome: outcome === undefined || outcome === 'ok' ? 'failed' : outcome,
    retryable,
    retryAfterMs,
  });
}

/** A character takes one to three bytes, so that only long texts must be measured. */
function isLargerThan(text: string, bytesMax: number): boolean {
  return text.length * 3 > bytesMax && new TextEncoder().encode(text).length > bytesMax;
}
