/** What can be wrong with a backup. Messages are sentences for the operator, and name the object. */

/** An object of a target, or a file that was one, fails a check: it must not be restored. */
export class DamagedBackupError extends Error {
  override readonly name = 'DamagedBackupError';
  /** The object, or the local file, that is damaged. */
  readonly object: string;

  /** `problem`: the rest of a sentence that begins with the object's name. */
  constructor(object: string, problem: string, options?: ErrorOptions) {
    super(`${object} ${problem}`, options);
    this.object = object;
  }
}

/** What was asked for is not in the target. */
export class MissingBackupError extends Error {
  override readonly name = 'MissingBackupError';
}

/** The restore that was asked for is impossible, or would destroy something. Nothing was changed. */
export class RestoreRefusal extends Error {
  override readonly name = 'RestoreRefusal';
  /** What to do instead, a sentence. */
  readonly hint: string | undefined;

  constructor(message: string, hint?: string, options?: ErrorOptions) {
    super(message, options);
    this.hint = hint;
  }
}
