/**
 * One process per data directory.
 *
 * `LOCK` is a SQLite file held in an exclusive transaction: the operating system drops that lock with the process, also
 * after kill -9, so that there is never a stale one to clean up. The holder's pid stands in `user_version`, which is four
 * bytes at a fixed place of the header: a second process reads them without a lock.
 *
 * Invariant: a process that holds the lock never opens the file again, not even to read: closing that descriptor would
 * drop the lock. Hence the set of held directories.
 */
import { accessSync, closeSync, constants, openSync, readSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { createDirectory } from '../host/directory.ts';
import Database from 'better-sqlite3';
import { dataPaths, look, refuseForeign } from './paths.ts';
import { type Db, isSqliteError } from './sqlite.ts';

/** Offset of `user_version` in a SQLite file's header (sqlite.org/fileformat.html, section 1.3). */
const pidOffset = 60;

const held = new Set<string>();

export class DataDirLock {
  readonly #db: Db;
  readonly #directory: string;

  /** Creates the directory when it is not there. @throws Error of one line that names the directory and what to do */
  static acquire(dataDir: string): DataDirLock {
    const directory = prepareDirectory(resolve(dataDir));
    if (held.has(directory)) throw inUse(directory, process.pid);
    return new DataDirLock(lock(directory), directory);
  }

  private constructor(db: Db, directory: string) {
    this.#db = db;
    this.#directory = directory;
    held.add(directory);
  }

  /** The file stays; without a holder it means nothing. */
  release(): void {
    this.#db.close();
    held.delete(this.#directory);
  }
}

function prepareDirectory(directory: string): string {
  try {
    createDirectory(directory);
  } catch (error) {
    throw new Error(
      `data directory ${directory} cannot be created (${codeOf(error)}): create it for this user, or set DATA_DIR to another place`,
      { cause: error },
    );
  }
  try {
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const what =
      codeOf(error) === 'EROFS'
        ? 'lies on a read-only file system: mount it writable'
        : 'is not writable: give this user the rights to it';
    throw new Error(`data directory ${directory} ${what}, or set DATA_DIR to another place`, { cause: error });
  }
  return realpathSync(directory);
}

function lock(directory: string): Db {
  const path = dataPaths(directory).lock;
  let db: Db | undefined;
  try {
    refuseForeign(path, 'file');
    if (look(path) === undefined) createEmpty(path);
    db = new Database(path, { fileMustExist: true, timeout: 0 });
    db.pragma('locking_mode = EXCLUSIVE');
    db.pragma('journal_mode = MEMORY');
    db.pragma(`user_version = ${process.pid}`);
    db.exec('BEGIN EXCLUSIVE');
    return db;
  } catch (error) {
    db?.close();
    if (isSqliteError(error) && error.code.startsWith('SQLITE_BUSY')) throw inUse(directory, readPid(path), error);
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(
      `data directory ${directory} cannot be locked (${why}): if ${path} is damaged and no server uses the directory, delete that file`,
      { cause: error },
    );
  }
}

/** Another process may do the same at the same time; both then hold the same empty file. */
function createEmpty(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}

function readPid(path: string): number | undefined {
  const bytes = Buffer.alloc(4);
  const file = openSync(path, 'r');
  try {
    return readSync(file, bytes, 0, 4, pidOffset) === 4 ? bytes.readInt32BE() : undefined;
  } finally {
    closeSync(file);
  }
}

function inUse(directory: string, pid: number | undefined, cause?: unknown): Error {
  const holder = pid === undefined || pid <= 0 ? 'another process' : `process ${pid}`;
  return new Error(
    `data directory ${directory} is in use by ${holder}: stop that one first, or set DATA_DIR to another directory`,
    { cause },
  );
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : String(error);
}
