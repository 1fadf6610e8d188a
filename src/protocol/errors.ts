/**
 * The catalogue of everything that can go wrong with a call, and the one error class that carries it.
 *
 * Each code fixes an HTTP status, whether a retry may help, and the outcome:
 * `failed`: the handler ran and nothing changed · `rejected`: never took effect, safe to send again ·
 * `unknown`: it may have happened; repeat it only with the same key.
 */

export type Outcome = 'ok' | 'failed' | 'rejected' | 'unknown';

interface CodeFacts {
  readonly status: number;
  readonly outcome: Exclude<Outcome, 'ok'>;
  readonly retryable: boolean;
}

export const errorCodes = {
  MALFORMED: { status: 400, outcome: 'rejected', retryable: false },
  INVALID: { status: 400, outcome: 'rejected', retryable: false },
  UNAUTHORIZED: { status: 401, outcome: 'rejected', retryable: false },
  FORBIDDEN: { status: 403, outcome: 'rejected', retryable: false },
  UNKNOWN_ACTOR: { status: 404, outcome: 'rejected', retryable: false },
  UNKNOWN_METHOD: { status: 404, outcome: 'rejected', retryable: false },
  UNKNOWN_ROUTE: { status: 404, outcome: 'rejected', retryable: false },
  KEY_REUSED: { status: 409, outcome: 'rejected', retryable: false },
  TOO_LARGE: { status: 413, outcome: 'rejected', retryable: false },
  RATE_LIMITED: { status: 429, outcome: 'rejected', retryable: true },
  QUOTA: { status: 429, outcome: 'rejected', retryable: true },
  OVERLOADED: { status: 503, outcome: 'rejected', retryable: true },
  DRAINING: { status: 503, outcome: 'rejected', retryable: true },
  READ_ONLY: { status: 503, outcome: 'rejected', retryable: true },
  QUARANTINED: { status: 503, outcome: 'rejected', retryable: false },
  DEADLINE: { status: 504, outcome: 'rejected', retryable: true },
  /** The handler threw; its own message is passed on. */
  HANDLER: { status: 422, outcome: 'failed', retryable: false },
  TURN_TIMEOUT: { status: 504, outcome: 'failed', retryable: false },
  /** The author's mistake that a client cannot mend: a result that is no JSON, an undeclared event, a state too large. */
  INTERNAL: { status: 500, outcome: 'failed', retryable: false },
  UNKNOWN: { status: 504, outcome: 'unknown', retryable: true },
} as const satisfies Record<string, CodeFacts>;

export type ErrorCode = keyof typeof errorCodes;

/** What a reply carries of an error, on every wire. */
export interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly outcome: Exclude<Outcome, 'ok'>;
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
  /** HTTP status, when it is not the code's own. Kept with the outcome, sent on no wire. */
  readonly status?: number;
}

export interface AppErrorOptions {
  /** Milliseconds after which a retry is sensible. */
  readonly retryAfterMs?: number;
  /** HTTP status; by default the code's own, and 422 for a code of the author's. */
  readonly status?: number;
  /** For the log only; never sent. */
  readonly cause?: unknown;
}

/**
 * An operating error with a stable code. Authors throw it from handlers and middleware, with a code of the catalogue or
 * one of their own in capitals: `throw new AppError('SEAT_TAKEN', 'Seat 4 is taken')`. Nothing of the turn is kept.
 */
export class AppError extends Error {
  readonly code: string;
  readonly outcome: Exclude<Outcome, 'ok'>;
  readonly retryable: boolean;
  readonly status: number;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode | (string & {}), message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    const facts: CodeFacts = Object.hasOwn(errorCodes, code) ? errorCodes[code as ErrorCode] : errorCodes.HANDLER;
    this.name = 'AppError';
    this.code = code;
    this.outcome = facts.outcome;
    this.retryable = facts.retryable;
    this.status = options.status ?? facts.status;
    this.retryAfterMs = options.retryAfterMs;
  }

  /** What is kept and sent of it. */
  toBody(): ErrorBody {
    const { code, message, outcome, retryable, retryAfterMs, status } = this;
    return {
      code,
      message,
      outcome,
      retryable,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      ...(status === statusOf({ code }) ? {} : { status }),
    };
  }
}

/** HTTP status of an error body: the one that its author gave, or the catalogue's, and 422 for a code of the author's. */
export function statusOf({ code, status }: Pick<ErrorBody, 'code' | 'status'>): number {
  if (status !== undefined && Number.isInteger(status) && status >= 400 && status <= 599) return status;
  return Object.hasOwn(errorCodes, code) ? errorCodes[code as ErrorCode].status : errorCodes.HANDLER.status;
}
