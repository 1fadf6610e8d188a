/**
 * A file of journal entries that have no place in a tenant file, now or ever. There are two of them:
 *
 *     quarantine/held-entries.db   what belongs to something closed off, for whoever looks into it; nothing is dropped
 *     journal/spilled.db           what belongs to tenants whose file cannot be written at the moment, so that the
 *                                  journals need not keep it; dropped once the tenant's file has it
 *
 * Invariants: entries are on disk when hold() returns · the file comes into being with its first entry · after an error it
 * is closed, and opened anew by whatever comes next.
 */
import { dirname } from 'node:path';
import type { Clock } from '../host/clock.ts';
import { heldFormat, openFile } from './migrations.ts';
import { look, makeDirectory } from './paths.ts';
import { DamagedFileError, type Db } from './sqlite.ts';
import { Transaction } from './transaction.ts';

export interface HeldEntry {
  readonly tenant: string;
  readonly entry: string;
}

export class HeldEntries {
  readonly path: string;
  readonly #clock: Clock;
  #open: { readonly db: Db; readonly transaction: Transaction } | undefined;

  constructor(path: string, clock: Clock) {
    this.path = path;
    this.#clock = clock;
  }

  /** @throws CommitError, SqliteError */
  hold(tenant: string, entries: readonly string[]): void {
    if (entries.length === 0) return;
    this.#write(({ db, transaction }) => {
      const put = db.prepare('INSERT INTO held (tenant, at_ms, entry) VALUES (?, ?, ?)');
      transaction.run(() => {
        for (const entry of entries) put.run(tenant, this.#clock.now(), entry);
      });
    });
  }

  /** Everything of a tenant. @throws CommitError, SqliteError */
  drop(tenant: string): void {
    this.#write(({ db, transaction }) => {
      const remove = db.prepare('DELETE FROM held WHERE tenant = ?');
      transaction.run(() => remove.run(tenant));
    });
  }

  /** All of it, oldest first; the structure is checked, the entries are not. @throws DamagedFileError, NewerFileError, SqliteError */
  read(): HeldEntry[] {
    if (look(this.path) === undefined && look(`${this.path}-wal`) === undefined) return [];
    return this.#write(({ db }) => {
      const result = db.pragma('integrity_check(1)', { simple: true });
      if (result !== 'ok') throw new DamagedFileError(`${this.path} fails SQLite's integrity check: ${String(result)}`);
      return db.prepare<[], HeldEntry>('SELECT tenant, entry FROM held ORDER BY n').all();
    });
  }

  close(): void {
    this.#open?.db.close();
    this.#open = undefined;
  }

  #write<T>(work: (open: { readonly db: Db; readonly transaction: Transaction }) => T): T {
    if (this.#open === undefined) {
      makeDirectory(dirname(this.path));
      const db = openFile(this.path, heldFormat, () => undefined)!;
      this.#open = { db, transaction: new Transaction(db) };
    }
    try {
      return work(this.#open);
    } catch (error) {
      this.close();
      throw error;
    }
  }
}
