/**
 * Explicit transactions: BEGIN IMMEDIATE, work, COMMIT, with an honest answer when one of them fails.
 *
 * A failed COMMIT is never called a failure: the frames may lie in the WAL and come alive at the next open. Whoever gets
 * 'unknown' closes the connection, opens the file again and looks.
 */
import type { Db } from './sqlite.ts';

/** `rolled-back`: nothing was written, the connection is fine · `unknown`: only the file knows, after it was opened anew. */
export class CommitError extends Error {
  override readonly name = 'CommitError';
  readonly outcome: 'rolled-back' | 'unknown';

  constructor(outcome: 'rolled-back' | 'unknown', file: string, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super(
      outcome === 'unknown'
        ? `commit to ${file} ended unknown: ${why}`
        : `write to ${file} failed and was undone: ${why}`,
      { cause },
    );
    this.outcome = outcome;
  }
}

/** Of one connection. */
export class Transaction {
  readonly #db: Db;
  readonly #begin;
  readonly #commit;
  readonly #rollback;

  constructor(db: Db) {
    this.#db = db;
    this.#begin = db.prepare('BEGIN IMMEDIATE');
    this.#commit = db.prepare('COMMIT');
    this.#rollback = db.prepare('ROLLBACK');
  }

  /** @throws CommitError */
  run(work: () => void): void {
    try {
      this.#begin.run();
      work();
    } catch (cause) {
      throw new CommitError(this.#undo() ? 'rolled-back' : 'unknown', this.#db.name, cause);
    }
    try {
      this.#commit.run();
    } catch (cause) {
      this.#undo();
      throw new CommitError('unknown', this.#db.name, cause);
    }
  }

  /** SQLite rolls back by itself after some errors; then there is nothing left to undo. */
  #undo(): boolean {
    try {
      if (this.#db.inTransaction) this.#rollback.run();
      return true;
    } catch {
      return false;
    }
  }
}
