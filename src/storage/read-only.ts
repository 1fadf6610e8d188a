/**
 * Reading journals, spilled entries and tenant files without leaving a trace.
 *
 * SQLite creates a -wal and -shm beside a WAL file that it opens, even for reading. So a file that has both (a server
 * runs, or was killed) is read where it lies, as one more reader; any other is copied to a temporary place and read
 * there, and copied again if a server opened it meanwhile. The driver offers no immutable mode, which would spare the copy.
 */
import { constants, copyFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import Database from 'better-sqlite3';
import type { ActorState } from './coalesce.ts';
import { crcHolds } from './entry.ts';
import type { HeldEntry } from './held-entries.ts';
import { checkRow, type Damage, type StoredRow } from './journal-row.ts';
import { checkFormat, type Format, heldFormat, journalFormat, prepareAll, tenantFormat } from './migrations.ts';
import { dataPaths, journalPath, look, tenantDirectory } from './paths.ts';
import { type Db, DamagedFileError } from './sqlite.ts';
import { checkOwner, DamagedActorError, isSoundActor } from './tenant-file.ts';

const attemptsMax = 10;

export interface JournalContent {
  readonly shard: number;
  readonly rows: readonly { readonly journalSeq: number; readonly body: string; readonly damage: readonly Damage[] }[];
}

/** What every journal holds beyond its mark. @throws DamagedFileError */
export function readJournals(dataDir: string): JournalContent[] {
  const { journal } = dataPaths(dataDir);
  if (look(journal) === undefined) return [];
  const shards = readdirSync(journal).flatMap((name) => (/^\d+\.db$/.test(name) ? [Number.parseInt(name, 10)] : []));
  return shards.map((shard) => ({ shard, rows: readRows(journalPath(dataDir, shard)) }));
}

function readRows(path: string): JournalContent['rows'] {
  const stored = readFrom(path, journalFormat, (db) => {
    const sql = `SELECT journal_seq AS journalSeq, toc, toc_crc AS tocCrc, body, crc FROM rows
      WHERE journal_seq > (SELECT value FROM marks WHERE name = 'forgotten') ORDER BY journal_seq`;
    return prepareAll(path, () => db.prepare<[], StoredRow>(sql)).all();
  });
  return (stored ?? []).map((row) => {
    const check = checkRow(row);
    if (check.kind === 'unreadable')
      throw new DamagedFileError(`${path}: nobody can tell whose entries row ${row.journalSeq} held`);
    return { journalSeq: row.journalSeq, body: check.body, damage: check.damage };
  });
}

/** Entries that wait for tenant files that cannot be written. @throws DamagedFileError */
export function readSpilled(dataDir: string): HeldEntry[] {
  const path = dataPaths(dataDir).spilled;
  const held = readFrom(path, heldFormat, (db) =>
    prepareAll(path, () => db.prepare<[], HeldEntry>('SELECT tenant, entry FROM held ORDER BY n')).all(),
  );
  for (const { entry } of held ?? [])
    if (!crcHolds(entry)) throw new DamagedFileError(`${path}: an entry fails its check`);
  return held ?? [];
}

export interface TenantReader {
  actors(max: number): { type: string; id: string }[];
  actor(type: string, id: string): (ActorState & { updatedMs: number }) | undefined;
  outcomeKeys(type: string, id: string): string[];
  closedReason(type: string, id: string): string | undefined;
  /** Actors that are closed off, by type and id. */
  closed(): { type: string; id: string; reason: string; atMs: number }[];
}

/** Calls `read` with the tenant's file, or with undefined when there is none. */
export function readTenant<T>(dataDir: string, tenant: string, read: (reader: TenantReader | undefined) => T): T {
  const path = join(tenantDirectory(dataDir, tenant), 'tenant.db');
  const found = readFrom(path, tenantFormat, (db) => {
    checkOwner(db, path, tenant);
    return { value: read(prepareAll(path, () => tenantReader(db, tenant))) };
  });
  return found === undefined ? read(undefined) : found.value;
}

function tenantReader(db: Db, tenant: string): TenantReader {
  const actors = db.prepare<[number], { type: string; id: string }>(
    'SELECT type, id FROM actors ORDER BY type, id LIMIT ?',
  );
  const actor = db.prepare<[string, string], ActorState & { updatedMs: number; crc: number }>(
    'SELECT seq, version, updated_ms AS updatedMs, crc, state FROM actors WHERE type = ? AND id = ?',
  );
  const keys = db.prepare<[string, string], string>('SELECT key FROM calls WHERE type = ? AND id = ?').pluck();
  const closed = db
    .prepare<[string, string], string>('SELECT reason FROM quarantined WHERE type = ? AND id = ?')
    .pluck();
  const allClosed = db.prepare<[], { type: string; id: string; reason: string; atMs: number }>(
    'SELECT type, id, reason, at_ms AS atMs FROM quarantined ORDER BY type, id',
  );
  return {
    actors: (max) => actors.all(max),
    actor(type, id) {
      const row = actor.get(type, id);
      if (row === undefined) return undefined;
      if (!isSoundActor(tenant, type, id, row))
        throw new DamagedActorError(`actor ${type}/${id} of tenant ${tenant} fails its check`);
      return row;
    },
    outcomeKeys: (type, id) => keys.all(type, id),
    closedReason: (type, id) => closed.get(type, id),
    closed: () => allClosed.all(),
  };
}

/** Undefined when there is no such file. */
function readFrom<T>(path: string, format: Format, read: (db: Db) => T): T | undefined {
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    const size = look(path)?.size;
    if (size === undefined) return undefined;
    if (size === 0) throw new DamagedFileError(`${path} is empty`);
    if (isOpenSomewhere(path)) return readOpen(path, path, format, read);
    const copied = readCopy(path, format, read);
    if (copied !== undefined) return copied.value;
  }
  throw new Error(`${path} was opened and closed again and again while it was read: try once more`);
}

/** Or was, when its process was killed. */
function isOpenSomewhere(path: string): boolean {
  return look(`${path}-wal`) !== undefined && look(`${path}-shm`) !== undefined;
}

function readOpen<T>(place: string, path: string, format: Format, read: (db: Db) => T): T {
  const db = new Database(place, { readonly: true, fileMustExist: true });
  try {
    db.pragma('trusted_schema = OFF');
    // One transaction, so that everything is of one moment.
    db.exec('BEGIN');
    checkFormat(db, path, format);
    return read(db);
  } finally {
    db.close();
  }
}

/** Undefined when somebody opened the file meanwhile. */
function readCopy<T>(path: string, format: Format, read: (db: Db) => T): { value: T } | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'fermata-inspect-'));
  try {
    const copy = join(directory, basename(path));
    const before = look(path);
    for (const suffix of ['', '-wal']) {
      if (look(path + suffix) !== undefined) copyFileSync(path + suffix, copy + suffix, constants.COPYFILE_FICLONE);
    }
    const after = look(path);
    if (isOpenSomewhere(path) || before?.mtimeMs !== after?.mtimeMs || before?.ino !== after?.ino) return undefined;
    return { value: readOpen(copy, path, format, read) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
