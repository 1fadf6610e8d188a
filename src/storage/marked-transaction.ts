/**
 * Transactions of a tenant's file, counted in the file and in its mark: when the file holds fewer than the mark says, its
 * last ones were lost, and it must not be served as if nothing had been.
 */
import type { Statement } from 'better-sqlite3';
import { lostEnd, Mark } from './mark.ts';
import type { Db } from './sqlite.ts';
import { Transaction } from './transaction.ts';

export class MarkedTransaction {
  readonly #transaction: Transaction;
  readonly #mark: Mark;
  readonly #count: Statement<[string]>;
  #writes: number;

  /** @throws DamagedFileError when writes are missing */
  constructor(db: Db, path: string) {
    this.#transaction = new Transaction(db);
    this.#count = db.prepare("INSERT OR REPLACE INTO meta (key, value) VALUES ('writes', ?)");
    this.#writes = Number(db.prepare("SELECT value FROM meta WHERE key = 'writes'").pluck().get() ?? 0);
    this.#mark = new Mark(path);
    const marked = this.#mark.read();
    if (marked <= this.#writes) return;
    this.#mark.close();
    throw lostEnd(path, `write ${this.#writes}`, `write ${marked}`);
  }

  /** How many there were in the file's life. */
  get writes(): number {
    return this.#writes;
  }

  /** The next one has a number above this. */
  raise(writes: number): void {
    this.#writes = Math.max(this.#writes, writes);
  }

  /** @throws CommitError */
  run(work: () => void): void {
    const writes = this.#writes + 1;
    this.#transaction.run(() => {
      work();
      this.#count.run(String(writes));
    });
    this.#writes = writes;
    this.#mark.write(writes);
  }

  close(): void {
    this.#mark.close();
  }
}
