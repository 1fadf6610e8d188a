/**
 * The one error that the client rejects with. `outcome` is what matters to whoever decides about a retry:
 * `failed`: the server answered with an error · `rejected`: it never took effect, safe to send again ·
 * `unknown`: it may have happened; repeat it only with the same key.
 *
 * Codes of the server pass through (src/protocol/errors.ts, and those of the app's author). The client's own:
 * TIMEOUT, CONNECTION_LOST, ABORTED, CLOSED, OVERLOADED, TOO_LARGE, INVALID, UNAUTHORIZED, FORBIDDEN, GAP (missed events),
 * and ERROR for a server that sends no codes.
 */
import type { ErrorBody } from '../protocol/errors.ts';
import type { ServerMessage } from '../protocol/messages.ts';

export interface FermataErrorOptions {
  readonly outcome: ErrorBody['outcome'];
  /** By default true when the outcome is not `failed`. */
  readonly retryable?: boolean | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

export class FermataError extends Error {
  override readonly name = 'FermataError';
  readonly code: string;
  readonly outcome: ErrorBody['outcome'];
  readonly retryable: boolean;
  /** Milliseconds after which a retry is sensible, when the server said so. */
  readonly retryAfterMs: number | undefined;

  constructor(code: string, message: string, options: FermataErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.outcome = options.outcome;
    this.retryable = options.retryable ?? options.outcome !== 'failed';
    this.retryAfterMs = options.retryAfterMs;
  }
}

export type Result = ServerMessage & { type: 'rpc:result' };

/** What the server said of a call. Servers without the additions send the message alone. */
export function answeredError(result: Result, message: string): FermataError {
  const { code = 'ERROR', outcome, retryable = false, retryAfterMs } = result;
  return new FermataError(code, message, {
    outcome: outcome === undefined || outcome === 'ok' ? 'failed' : outcome,
    retryable,
    retryAfterMs,
  });
}
