/**
 * What becomes of a thrown value: the author's own words go to the client, everything else is logged under an id and the
 * client gets only that id. Logged once, here, where the work ends.
 *
 * A thrown value may be anything: a draft that dies with its turn, an object whose getters throw. So it is read once, at
 * the place where it was caught, into a `Fault` that is safe to keep and look at.
 */
import type { Clock } from '../host/clock.ts';
import type { LogGate } from '../host/log-gate.ts';
import { AppError } from '../protocol/errors.ts';
import { noTrace, traceFields } from '../protocol/trace.ts';
import type { Activation } from './activation.ts';
import type { CallItem } from './mailbox.ts';

/** Characters of a message that a client is told. */
const messageCharsMax = 4096;

export type Fault =
  | { readonly kind: 'app'; readonly error: AppError }
  /** `stack` is for the log. A `mistake` is an error that the engine throws for wrong code. */
  | { readonly kind: 'error' | 'mistake' | 'other'; readonly message: string; readonly stack: string };

const mistakes: readonly unknown[] = ['TypeError', 'RangeError', 'ReferenceError', 'SyntaxError'];

/** Reads a thrown value, before the draft that it may be part of is gone. Never throws. */
export function faultOf(thrown: unknown): Fault {
  try {
    if (thrown instanceof AppError) return { kind: 'app', error: plainAppError(thrown) };
    // By shape, not by class: an author's module may come from another realm.
    if (thrown instanceof Error || Object.prototype.toString.call(thrown) === '[object Error]') {
      const { name, message, stack } = thrown as { name: unknown; message: unknown; stack: unknown };
      const kind = mistakes.includes(name) ? 'mistake' : 'error';
      return { kind, message: cut(String(message)) || 'Error', stack: String(stack ?? message) };
    }
    return { kind: 'other', message: 'Unknown error', stack: cut(`thrown: ${String(thrown)}`) };
  } catch {
    return { kind: 'other', message: 'Unknown error', stack: `thrown: a ${typeof thrown} that cannot be looked at` };
  }
}

function plainAppError(error: AppError): AppError {
  // An author may have put anything into its fields.
  const { code, message, retryAfterMs, status, cause }: { [field in keyof AppError]?: unknown } = error;
  return new AppError(String(code), cut(String(message)), {
    ...(typeof retryAfterMs === 'number' && Number.isFinite(retryAfterMs) ? { retryAfterMs } : {}),
    ...(typeof status === 'number' ? { status } : {}),
    ...(cause instanceof Error ? { cause } : {}),
  });
}

export interface FaultParts {
  readonly lines: LogGate;
  readonly clock: Clock;
}

/** What was going on: a call, or something that has no caller, by its name. */
type Work = string | CallItem;

/** What the caller is told. `started`: the handler had begun, so that the call failed; before that it was refused. */
export function answerFor(
  fault: Fault,
  started: boolean,
  parts: FaultParts,
  activation: Activation,
  work: Work,
): AppError {
  if (fault.kind === 'mistake') {
    const message = 'the app threw what looks like a mistake in it';
    note(parts, activation, work, { sort: 'is mistaken', message, stack: fault.stack });
  }
  if (fault.kind !== 'app') return new AppError(started ? 'HANDLER' : 'FORBIDDEN', fault.message);
  if (fault.error.code === 'TURN_TIMEOUT')
    note(parts, activation, work, { sort: 'timed out', message: 'a turn took too long and was ended' });
  return fault.error.code === 'INTERNAL' ? internalError(fault, parts, activation, work) : fault.error;
}

/** Logs a fault of the system or of the author's code and returns what may be told of it. `trace`: of who asked for it. */
export function internalError(
  fault: Fault,
  parts: FaultParts,
  activation: Activation,
  work: Work,
  trace = traceOf(work),
): AppError {
  const errorId = parts.clock.id();
  const { type } = activation.address;
  const message = fault.kind === 'app' ? fault.error.message : fault.message;
  const stack = fault.kind === 'app' ? (causeOf(fault.error) ?? fault.error.stack) : fault.stack;
  const what = nameOf(work);
  const fields = { errorId, ...workFields(activation, work, trace), what, stack };
  parts.lines.write(`${what} of ${type} failed`, 'error', fields, `${what} of actor ${type} failed: ${message}`);
  return new AppError('INTERNAL', `Internal error ${errorId}`);
}

/** What its caller is told, and nobody else would know. `sort`: its lines are counted together. */
function note(
  { lines }: FaultParts,
  activation: Activation,
  work: Work,
  { sort, message, stack }: { sort: string; message: string; stack?: string },
): void {
  const what = nameOf(work);
  const fields = { ...workFields(activation, work, traceOf(work)), what, ...(stack === undefined ? {} : { stack }) };
  lines.write(`${what} of ${activation.address.type} ${sort}`, 'warn', fields, message);
}

function nameOf(work: Work): string {
  return typeof work === 'string' ? work : work.method;
}

function traceOf(work: Work): string {
  return typeof work === 'string' ? noTrace : work.trace;
}

function workFields({ address }: Activation, work: Work, trace: string): object {
  const { tenant, type, id } = address;
  const method = typeof work === 'string' ? {} : { method: work.method };
  return { tenant, actor: type, actorId: id, ...method, ...traceFields(trace) };
}

function causeOf({ cause }: AppError): string | undefined {
  return cause instanceof Error ? cause.stack : undefined;
}

function cut(text: string): string {
  return text.length > messageCharsMax ? `${text.slice(0, messageCharsMax)}…` : text;
}
