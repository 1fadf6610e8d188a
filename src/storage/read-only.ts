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
import { ActorTable, type StoredActor } from './actor-table.ts';
import { CallTable } from './call-table.ts';
import { type ClosedActor, ClosedTable } from './closed-table.ts';
import type { NumberedCalls, Visitor } from './contract.ts';
import { crcHolds } from './entry.ts';
import type { HeldEntry } from './held-entries.ts';
import { checkRow, type Damage, type StoredRow } from './journal-row.ts';
import { checkFormat, type Format, heldFormat, journalFormat, prepareAll, tenantFormat } from './migrations.ts';
import { NumberedTable } from './numbered-table.ts';
import { dataPaths, journalPath, look, tenantDirectory } from './paths.ts';
import { PlaceTable } from './place-table.ts';
import { SessionTable, type StoredSession } from './session-table.ts';
import { type Db, DamagedFileError } from './sqlite.ts';
import { checkOwner } from './tenant-file.ts';
import { VisitorTable } from './visitor-table.ts';

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
  /** @throws DamagedActorError, as the next ones */
  actor(type: string, id: string): StoredActor | undefined;
  numbered(type: string, id: string): NumberedCalls[];
  visitors(type: string, id: string): { readonly visitors: readonly Visitor[]; readonly visitSeq: number };
  outcomeKeys(type: string, id: string): string[];
  closedReason(type: string, id: string): string | undefined;
  /** Actors that are closed off, by type and id. */
  closed(): (ClosedActor & { atMs: number })[];
  /** The newest first. */
  sessions(max: number): StoredSession[];
}

/** Calls `read` with the tenant's file, or with undefined when there is none. */
export function readTenant<T>(dataDir: string, tenant: string, read: (reader: TenantReader | undefined) => T): T {
  const path = join(tenantDirectory(dataDir, tenant), 'tenant.db');
  const found = readFrom(path, tenantFormat, (db, version) => {
    checkOwner(db, path, tenant);
    return { value: read(prepareAll(path, () => tenantReader(db, tenant, version))) };
  });
  return found === undefined ? read(undefined) : found.value;
}

function tenantReader(db: Db, tenant: string, version: number): TenantReader {
  const actors = new ActorTable(db, tenant);
  const calls = new CallTable(db, tenant);
  const closed = new ClosedTable(db);
  // A file of the first version has no more than these, until a server opens it.
  const more = version < 2 ? undefined : laterTables(db, tenant);
  return {
    actors: (max) => actors.names(max),
    actor: (type, id) => actors.read(type, id),
    numbered: (type, id) =>
      (more?.numbered.clients(type, id) ?? []).flatMap((client) => more?.numbered.read(type, id, client) ?? []),
    visitors: (type, id) => ({
      visitors: more?.visitors.read(type, id) ?? [],
      visitSeq: more?.places.read(type, id).visitSeq ?? 0,
    }),
    outcomeKeys: (type, id) => calls.keys(type, id),
    closedReason: (type, id) => closed.reason(type, id),
    closed: () => closed.list(),
    sessions: (max) => more?.sessions.newest(max) ?? [],
  };
}

function laterTables(db: Db, tenant: string) {
  return {
    numbered: new NumberedTable(db, tenant),
    visitors: new VisitorTable(db, tenant),
    places: new PlaceTable(db, tenant),
    sessions: new SessionTable(db),
  };
}

/** Undefined when there is no such file. */
function readFrom<T>(path: string, format: Format, read: (db: Db, version: number) => T): T | undefined {
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

function readOpen<T>(place: string, path: string, format: Format, read: (db: Db, version: number) => T): T {
  const db = new Database(place, { readonly: true, fileMustExist: true });
  try {
    db.pragma('trusted_schema = OFF');
    // One transaction, so that everything is of one moment.
    db.exec('BEGIN');
    return read(db, checkFormat(db, path, format));
  } finally {
    db.close();
  }
}

/** Undefined when somebody opened the file meanwhile. */
function readCopy<T>(path: string, format: Format, read: (db: Db, version: number) => T): { value: T } | undefined {
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
