/**
 * The formats of our SQLite files, and how a file of an older one is brought up to date.
 *
 * `PRAGMA user_version` counts the steps that a file has been through; `application_id` says what it is. A step never
 * changes once it was released: a new one is added. A file that went through more steps than this program knows is
 * refused, because an older program would misread it and overwrite what it does not understand.
 */
import { createDatabase, DamagedFileError, type Db, isDamage, isSqliteError, openDatabase } from './sqlite.ts';
import { Transaction } from './transaction.ts';
import { look } from './paths.ts';

export interface Format {
  /** For people: "tenant file". */
  readonly name: string;
  readonly applicationId: number;
  readonly steps: readonly string[];
}

export const journalFormat: Format = {
  name: 'journal',
  applicationId: 0x46724a6c, // "FrJl"
  steps: [
    `CREATE TABLE rows (journal_seq INTEGER PRIMARY KEY, toc TEXT NOT NULL, toc_crc INTEGER NOT NULL, body TEXT NOT NULL, crc INTEGER NOT NULL) STRICT;
     CREATE TABLE marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
     INSERT INTO marks VALUES ('forgotten', 0), ('flushes', 0);`,
    // Entries may have a trail, which a program that knows only the first step would take for a part of the call.
    "UPDATE marks SET value = value WHERE name = 'flushes';",
    // Contents begin with the time of the commit, which an older program would take for an actor.
    "UPDATE marks SET value = value WHERE name = 'flushes';",
  ],
};

// Actors are found in two ways, by name and by hash. A flipped bit in one index would make an actor look as if it had
// never been written; the other index contradicts it. In the same way `places` and what it counts vouch for each other.
export const tenantFormat: Format = {
  name: 'tenant file',
  applicationId: 0x4672546e, // "FrTn"
  steps: [
    `CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
     CREATE TABLE actors (type TEXT NOT NULL, id TEXT NOT NULL, hash INTEGER NOT NULL, seq INTEGER NOT NULL, version INTEGER NOT NULL,
       updated_ms INTEGER NOT NULL, crc INTEGER NOT NULL, state TEXT NOT NULL, PRIMARY KEY (type, id)) STRICT;
     CREATE INDEX actors_by_hash ON actors (hash);
     CREATE TABLE calls (type TEXT NOT NULL, id TEXT NOT NULL, key TEXT NOT NULL, args TEXT NOT NULL, at_ms INTEGER NOT NULL,
       crc INTEGER NOT NULL, outcome TEXT NOT NULL, PRIMARY KEY (type, id, key)) STRICT, WITHOUT ROWID;
     CREATE INDEX calls_by_age ON calls (at_ms);
     CREATE TABLE quarantined (type TEXT NOT NULL, id TEXT NOT NULL, reason TEXT NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (type, id)) STRICT, WITHOUT ROWID;`,
    `CREATE TABLE numbered (type TEXT NOT NULL, id TEXT NOT NULL, client TEXT NOT NULL, n INTEGER NOT NULL, at_ms INTEGER NOT NULL,
       crc INTEGER NOT NULL, outcome TEXT NOT NULL, PRIMARY KEY (type, id, client, n)) STRICT, WITHOUT ROWID;
     CREATE INDEX numbered_by_age ON numbered (at_ms);
     CREATE TABLE acks (type TEXT NOT NULL, id TEXT NOT NULL, client TEXT NOT NULL, ack INTEGER NOT NULL, at_ms INTEGER NOT NULL,
       crc INTEGER NOT NULL, PRIMARY KEY (type, id, client)) STRICT, WITHOUT ROWID;
     CREATE INDEX acks_by_age ON acks (at_ms);
     CREATE TABLE visitors (type TEXT NOT NULL, id TEXT NOT NULL, client_id TEXT NOT NULL, session_id TEXT NOT NULL, user_id TEXT,
       claims TEXT NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (type, id, client_id)) STRICT, WITHOUT ROWID;
     CREATE TABLE places (type TEXT NOT NULL, id TEXT NOT NULL, visit_seq INTEGER NOT NULL, patch_seq INTEGER NOT NULL,
       patch_chars INTEGER NOT NULL, event_seq INTEGER NOT NULL, event_chars INTEGER NOT NULL, events_max INTEGER NOT NULL,
       crc INTEGER NOT NULL, PRIMARY KEY (type, id)) STRICT, WITHOUT ROWID;
     CREATE TABLE history (type TEXT NOT NULL, id TEXT NOT NULL, stream TEXT NOT NULL, first_seq INTEGER NOT NULL,
       last_seq INTEGER NOT NULL, chars_to INTEGER NOT NULL, at_ms INTEGER NOT NULL, crc INTEGER NOT NULL, text TEXT NOT NULL,
       PRIMARY KEY (type, id, stream, last_seq)) STRICT;
     CREATE INDEX patches_by_age ON history (at_ms) WHERE stream = 'state';
     CREATE TABLE sessions (session_id TEXT PRIMARY KEY, client_id TEXT NOT NULL, user_id TEXT, status TEXT NOT NULL,
       reason TEXT NOT NULL, boot TEXT NOT NULL, connected_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL,
       noted_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
     CREATE INDEX sessions_by_status ON sessions (status, noted_ms);`,
  ],
};

/** Entries that are acknowledged, but have no place to go: held-entries.ts. */
export const heldFormat: Format = {
  name: 'file of held entries',
  applicationId: 0x4672486c, // "FrHl"
  steps: [
    `CREATE TABLE held (n INTEGER PRIMARY KEY, tenant TEXT NOT NULL, at_ms INTEGER NOT NULL, entry TEXT NOT NULL) STRICT;
     CREATE INDEX held_by_tenant ON held (tenant);`,
    // As for journals: entries may have a trail.
    'DELETE FROM held WHERE false;',
  ],
};

/** Written by a later version of the program. The file is sound; this program is too old for it. */
export class NewerFileError extends Error {
  override readonly name = 'NewerFileError';
}

/**
 * Opens a file of a format, brought up to date; undefined when there is none and `create` is undefined.
 * `create` fills a new file, in the transaction that makes it.
 * @throws NewerFileError, DamagedFileError, SqliteError
 */
export function openFile(path: string, format: Format, create?: (db: Db) => void): Db | undefined {
  if (look(path) === undefined) {
    for (const suffix of ['-wal', '-mark'])
      if (look(path + suffix) !== undefined)
        throw new DamagedFileError(`${path} is missing, but its ${suffix} is there`);
    if (create === undefined) return undefined;
    createDatabase(path, (db) => {
      new Transaction(db).run(() => {
        db.pragma(`application_id = ${format.applicationId}`);
        step(db, format, 0);
        create(db);
      });
    });
  }
  const db = openDatabase(path);
  try {
    upgrade(db, path, format);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Checks what a file is and how old. @returns its version @throws NewerFileError, DamagedFileError */
export function checkFormat(db: Db, path: string, format: Format): number {
  const id = db.pragma('application_id', { simple: true });
  if (id !== format.applicationId) throw new DamagedFileError(`${path} is not a ${format.name} of Fermata`);
  const version = db.pragma('user_version', { simple: true }) as number;
  // Files are created whole, so that a version below 1 was never written by anybody.
  if (version < 1) throw new DamagedFileError(`${path} has the impossible version ${version}`);
  if (version > format.steps.length) {
    throw new NewerFileError(
      `${path} is a ${format.name} of version ${version}, this program knows versions up to ${format.steps.length}: start the newer Fermata that wrote it, or restore a backup`,
    );
  }
  return version;
}

function upgrade(db: Db, path: string, format: Format): void {
  const version = checkFormat(db, path, format);
  if (version < format.steps.length) new Transaction(db).run(() => step(db, format, version));
}

function step(db: Db, format: Format, from: number): void {
  for (const sql of format.steps.slice(from)) db.exec(sql);
  db.pragma(`user_version = ${format.steps.length}`);
}

/** Prepares statements of a file just opened: a table that is not there, in a file whose version says that it is, is damage. */
export function prepareAll<T>(path: string, prepare: () => T): T {
  try {
    return prepare();
  } catch (error) {
    if (isSqliteError(error) && !isDamage(error) && error.code === 'SQLITE_ERROR') {
      throw new DamagedFileError(`${path} has lost a part of its schema: ${error.message}`, { cause: error });
    }
    throw error;
  }
}
