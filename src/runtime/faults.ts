/**
 * What becomes of a thrown value: the author's own words go to the client, everything else is logged under an id and the
 * client gets only that id. Logged once, here, where the work ends.
 */
import { AppError } from '../protocol/errors.ts';
import type { Clock } from '../host/clock.ts';
import type { Logger } from '../host/log.ts';
import type { Activation } from './activation.ts';

interface FaultParts {
  readonly log: Logger;
  readonly clock: Clock;
}

/** `started`: the handler had begun, so that the call failed; before that it was refused. */
export function handlerError(
  thrown: unknown,
  started: boolean,
  parts: FaultParts,
  activation: Activation,
  what: string,
): AppError {
  if (thrown instanceof AppError)
    return thrown.code === 'INTERNAL' ? internalError(thrown, parts, activation, what) : thrown;
  const code = started ? 'HANDLER' : 'FORBIDDEN';
  // By shape, not by class: an author's module may come from another realm.
  const message =
    thrown instanceof Error || Object.prototype.toString.call(thrown) === '[object Error]'
      ? (thrown as Error).message || 'Error'
      : 'Unknown error';
  return new AppError(code, message, { cause: thrown });
}

/** Logs a fault of the system or of the author's code and returns what may be told of it. */
export function internalError(thrown: unknown, parts: FaultParts, activation: Activation, what: string): AppError {
  const errorId = parts.clock.id();
  const { tenant, type, id } = activation.address;
  parts.log.error(
    { err: thrown, errorId, tenant, actor: type, actorId: id, what },
    `${what} of actor ${type} failed: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
  );
  return new AppError('INTERNAL', `Internal error ${errorId}`);
}
