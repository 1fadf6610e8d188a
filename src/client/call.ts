/** What a call is: what its caller asked for, and where it stands in the outbox (calls.ts). */
import type { Backoff } from './backoff.ts';
import type { Cancel } from './clock.ts';
import type { FermataError } from './error.ts';

export interface CallOptions {
  /** Milliseconds until the call ends with TIMEOUT, waiting and retries included. Infinity for no end. */
  readonly timeoutMs?: number | undefined;
  /** Gives the call up with ABORTED. What was sent is not called back. */
  readonly signal?: AbortSignal | undefined;
  /** Idempotency key of your own: the same key with the same input has its effect once and gives the stored outcome, for 24 h. */
  readonly key?: string | undefined;
  /** W3C trace context that the server's log and the handler get. For servers that know Fermata's additions. */
  readonly traceparent?: string | undefined;
  /** False: the first answer is final, and a lost connection ends the call as unknown. Default true. */
  readonly retry?: boolean | undefined;
}

export interface CallTarget {
  readonly actor: string;
  readonly actorId: string;
  readonly method: string;
}

export interface Call {
  readonly id: string;
  readonly order: number;
  /** The actor: its calls keep their order. */
  readonly to: string;
  readonly name: string;
  /** The frame's text without what is written when it leaves: numbers and deadline. */
  readonly head: string;
  readonly hasKey: boolean;
  readonly traceparent: string | undefined;
  readonly retry: boolean;
  readonly dueAt: number;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: FermataError) => void;
  /** Ends the timer and the watch over the signal. */
  release: Cancel;
  /** Its number, given when it first leaves; 0 before, and for calls with a key of their own. */
  n: number;
  /** True from leaving until the answer or the loss of the connection. */
  sent: boolean;
  /** An attempt ended without anybody knowing how. */
  uncertain: boolean;
  /** Set while it waits for its next attempt. */
  rest: Cancel | undefined;
  backoff: Backoff | undefined;
  /** Why the last attempt did not succeed. */
  error: FermataError | undefined;
}
