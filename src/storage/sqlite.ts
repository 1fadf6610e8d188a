/**
 * How every SQLite file is opened. The rules are few and each was learned from a loss:
 *
 * - `synchronous` is set and read back at every open: the driver falls to NORMAL when an existing WAL file is reopened.
 * - A SQLite older than 3.51.3 is refused: before it, a WAL reset could lose committed transactions.
 * - Files come into being under a temporary name and are renamed when they are whole. So a blank file under a real name
 *   is damage, never a start that was interrupted.
 * - A file left with its -wal (the process was killed) is checkpointed first: what a dead process wrote may lie in the
 *   page cache alone, and nobody may call it durable before it was synced.
 * - Nothing here reads a live file with fs: closing such a descriptor would drop the process's locks on it.
 */
import { strict as assert } from 'node:assert';
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { fsyncDirectory } from '../host/directory.ts';
import { look, refuseForeign } from './paths.ts';

export type Db = Database.Database;
export type Synchronous = 'FULL' | 'NORMAL';

const sqliteVersionMin = [3, 51, 3] as const;
const busyMsMax = 5000;
const walPagesMax = 1000;
const levels = { FULL: 2, NORMAL: 1 } as const;

/** A file that is not what it must be: structure, format or owner. Its content is not to be trusted. */
export class DamagedFileError extends Error {
  override readonly name = 'DamagedFileError';
}

/** Opens a file that exists, for reading and writing. @throws DamagedFileError, SqliteError */
export function openDatabase(path: string): Db {
  for (const suffix of ['', ...sidecars]) refuseForeign(path + suffix, 'file');
  if (look(path)?.size === 0) throw new DamagedFileError(`${path} is empty`);
  const leftWal = look(`${path}-wal`) !== undefined;
  const db = new Database(path, { fileMustExist: true, timeout: busyMsMax });
  try {
    assertVersion(db);
    const mode = db.pragma('journal_mode = WAL', { simple: true });
    if (mode !== 'wal') throw new Error(`${path} does not go into WAL mode, it stays in ${String(mode)}`);
    setSynchronous(db, 'FULL');
    db.pragma(`wal_autocheckpoint = ${walPagesMax}`);
    db.pragma('trusted_schema = OFF');
    db.pragma('cell_size_check = ON');
    if (leftWal) settle(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Creates a file whole or not at all: built beside its place, synced, renamed into it. */
export function createDatabase(path: string, build: (db: Db) => void): void {
  const temporary = `${path}.new`;
  removeDatabase(temporary);
  closeSync(openSync(temporary, 'wx', 0o600));
  const db = new Database(temporary, { fileMustExist: true, timeout: busyMsMax });
  try {
    assertVersion(db);
    // One fsync at the end stands for all of them: until the rename nobody sees the file.
    db.pragma('synchronous = OFF');
    build(db);
    db.pragma('journal_mode = WAL');
  } finally {
    db.close();
  }
  syncFile(temporary);
  renameSync(temporary, path);
  fsyncDirectory(dirname(path));
}

/** Sets the level and proves that it holds. Only outside a transaction. */
export function setSynchronous(db: Db, level: Synchronous): void {
  db.pragma(`synchronous = ${level}`);
  const held = db.pragma('synchronous', { simple: true });
  assert.equal(held, levels[level], `${db.name}: PRAGMA synchronous = ${level} did not hold`);
}

/** Moves the WAL into the file and syncs both. @throws Error when a reader keeps it from finishing */
export function checkpoint(db: Db): void {
  const [result] = db.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
  if (result?.busy !== 0) throw new Error(`${db.name}: the WAL could not be moved into the file, a reader holds it`);
}

/** On a full disk the WAL stays where it is, and is synced there: what is in it can be read. */
function settle(db: Db): void {
  try {
    checkpoint(db);
  } catch (error) {
    if (!isFull(error)) throw error;
    // SQLite keeps its locks on the other two files.
    syncFile(`${db.name}-wal`);
  }
}

function syncFile(path: string): void {
  const file = openSync(path, 'r+');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** What lies beside a file of ours and belongs to it: two of SQLite's, and the one of mark.ts. */
export const sidecars = ['-wal', '-shm', '-mark'] as const;

/** Deletes a file of ours that nobody has open, with its sidecars. */
export function removeDatabase(path: string): void {
  // The mark first, or it would miss the rest. The WAL after the main file, which would mean something older without it.
  for (const suffix of ['-mark', '', '-wal', '-shm']) rmSync(path + suffix, { force: true });
}

/** Does this error, or what caused it, say that the file's content cannot be trusted? */
export function isDamage(error: unknown): boolean {
  if (error instanceof DamagedFileError) return true;
  if (error instanceof Database.SqliteError)
    return error.code.startsWith('SQLITE_CORRUPT') || error.code === 'SQLITE_NOTADB';
  return error instanceof Error && error.cause !== undefined && isDamage(error.cause);
}

/** Does this error, or what caused it, say that the disk is full? */
export function isFull(error: unknown): boolean {
  if (isSqliteError(error)) return error.code === 'SQLITE_FULL';
  return error instanceof Error && error.cause !== undefined && isFull(error.cause);
}

export function isSqliteError(error: unknown): error is InstanceType<typeof Database.SqliteError> {
  return error instanceof Database.SqliteError;
}

export function sqliteVersion(): string {
  const db = new Database(':memory:');
  try {
    return versionOf(db);
  } finally {
    db.close();
  }
}

function versionOf(db: Db): string {
  return db.prepare('SELECT sqlite_version()').pluck().get() as string;
}

function assertVersion(db: Db): void {
  const version = versionOf(db);
  const parts = version.split('.').map(Number);
  for (const [place, least] of sqliteVersionMin.entries()) {
    const part = parts[place] ?? 0;
    if (part > least) return;
    if (part < least)
      throw new Error(
        `SQLite ${version} is too old: ${sqliteVersionMin.join('.')} or later is needed, reinstall better-sqlite3`,
      );
  }
}
