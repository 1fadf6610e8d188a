/** Something that an operator asked for and that cannot be done. The message is for them, the hint says what would help. */
export class OperationError extends Error {
  override readonly name = 'OperationError';
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}
