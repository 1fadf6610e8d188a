/**
 * Rows that commit() had returned are not on disk any more. Thrown once, by the reopen() that saw to it that their numbers
 * are not given again; the next one opens. What was in them is lost only if the keeper, which has them, ends before it wrote.
 */
export class LostRowsError extends Error {
  override readonly name = 'LostRowsError';
}
