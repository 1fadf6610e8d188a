import type { ExitCode } from './exit-codes.ts';

export interface CommandErrorOptions {
  readonly exitCode: ExitCode;
  /** What to do about it, as a sentence of its own. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** An end that the person at the terminal can mend: one clear line and a hint, never a stack. */
export class CommandError extends Error {
  readonly exitCode: ExitCode;
  readonly hint: string | undefined;

  constructor(message: string, options: CommandErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CommandError';
    this.exitCode = options.exitCode;
    this.hint = options.hint;
  }
}
