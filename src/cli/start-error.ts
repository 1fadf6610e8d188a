/**
 * Why a server did not start, as one line for the operator with the exit code that scripts look at.
 */
import { ThreadError } from '../host/thread.ts';
import { CommandError } from './command-error.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';

/** A gateway that cannot listen says ListenError; whatever else stops it is about keys and algorithms. */
export function listenError(error: unknown): CommandError {
  const aboutKeys = error instanceof ThreadError && error.kind !== 'ListenError';
  return startError(error, aboutKeys ? exitCodes.config : exitCodes.portInUse);
}

/** A full disk, a file of a later version, wrong rights: for the operator, not a fault of ours. */
export function unusableData(error: unknown, dataDir: string): CommandError {
  const message = error instanceof Error ? error.message : String(error);
  return new CommandError(`the data in ${dataDir} cannot be opened: ${message}`, {
    exitCode: exitCodes.dataDirUnavailable,
    hint: 'Nothing acknowledged is lost. Check free space and rights there, or see: fermata doctor',
    cause: error,
  });
}

export function startError(error: unknown, exitCode: ExitCode): CommandError {
  if (error instanceof CommandError) return error;
  const text = error instanceof Error ? error.message : String(error);
  const hint = error instanceof Error && 'hint' in error && typeof error.hint === 'string' ? error.hint : undefined;
  // Messages that are also logged end with their hint; here it has a line of its own.
  const message = hint !== undefined && text.endsWith(`. ${hint}`) ? text.slice(0, -hint.length - 2) : text;
  return new CommandError(message, { exitCode, cause: error, ...(hint === undefined ? {} : { hint }) });
}
