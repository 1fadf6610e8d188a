/**
 * What becomes of a thrown value: the author's own words go to the client, everything else is logged under an id and the
 * client gets only that id. Logged once, here, where the work ends.
 *
 * A thrown value may be anything: a draft that dies with its turn, an object whose getters throw. So it is read once, at
 * the place where it was caught, into a `Fault` that is safe to keep and look at.
 */
import type { Clock } from '../host/clock.ts';
import type { Logger } from '../host/log.ts';
import { AppError } from '../protocol/errors.ts';
import type { Activation } from './activation.ts';

/** Characters of a message that a client is told. */
const messageCharsMax = 4096;

export type Fault =
  | { readonly kind: 'app'; readonly error: AppError }
  /** `trace` is for the log. */
  | { readonly kind: 'error' | 'other'; readonly message: string; readonly trace: string };

/** Reads a thrown value, before the draft that it may be part of is gone. Never throws. */
export function faultOf(thrown: unknown): Fault {
  try {
    if (thrown instanceof AppError) return { kind: 'app', error: plainAppError(thrown) };
    // By shape, not by class: an author's module may come from another realm.
    if (thrown instanceof Error || Object.prototype.toString.call(thrown) === '[object Error]') {
      const { message, stack } = thrown as { message: unknown; stack: unknown };
      return { kind: 'error', message: cut(String(message)) || 'Error', trace: String(stack ?? message) };
    }
    return { kind: 'other', message: 'Unknown error', trace: cut(`thrown: ${String(thrown)}`) };
  } catch {
    return { kind: 'other', message: 'Unknown error', trace: `thrown: a ${typeof thrown} that cannot be looked at` };
  }
}

function plainAppError(error: AppError): AppError {
  // An author may have put anything into its fields.
  const { code, message, retryAfterMs, cause }: { [field in 'code' | 'message' | 'retryAfterMs' | 'cause']?: unknown } =
    error;
  return new AppError(String(code), cut(String(message)), {
    ...(typeof retryAfterMs === 'number' && Number.isFinite(retryAfterMs) ? { retryAfterMs } : {}),
    ...(cause instanceof Error ? { cause } : {}),
  });
}

interface FaultParts {
  readonly log: Logger;
  readonly clock: Clock;
}

/** What the caller is told. `started`: the handler had begun, so that the call failed; before that it was refused. */
export function answerFor(
  fault: Fault,
  started: boolean,
  parts: FaultParts,
  activation: Activation,
  what: string,
): AppError {
  if (fault.kind !== 'app') return new AppError(started ? 'HANDLER' : 'FORBIDDEN', fault.message);
  return fault.error.code === 'INTERNAL' ? internalError(fault, parts, activation, what) : fault.error;
}

/** Logs a fault of the system or of the author's code and returns what may be told of it. */
export function internalError(fault: Fault, parts: FaultParts, activation: Activation, what: string): AppError {
  const errorId = parts.clock.id();
  const { tenant, type, id } = activation.address;
  const message = fault.kind === 'app' ? fault.error.message : fault.message;
  const trace = fault.kind === 'app' ? (causeOf(fault.error) ?? fault.error.stack) : fault.trace;
  const fields = { errorId, tenant, actor: type, actorId: id, what, trace };
  parts.log.error(fields, `${what} of actor ${type} failed: ${message}`);
  return new AppError('INTERNAL', `Internal error ${errorId}`);
}

function causeOf({ cause }: AppError): string | undefined {
  return cause instanceof Error ? cause.stack : undefined;
}

function cut(text: string): string {
  return text.length > messageCharsMax ? `${text.slice(0, messageCharsMax)}…` : text;
}
