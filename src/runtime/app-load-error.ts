/**
 * Why an app could not be loaded. The message is one sentence, with the source line below it where there is one; the
 * hint says what to do. Both are for the operator's terminal; `cause` keeps the original for a debug log.
 */
export class AppLoadError extends Error {
  override readonly name = 'AppLoadError';
  readonly hint: string;

  constructor(message: string, hint: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.hint = hint;
  }
}
