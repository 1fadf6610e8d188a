/**
 * Everything that can be checked of a tenant file without knowing what was in it: its structure by SQLite, and each row by
 * its CRC, which the tenant's name is part of. Rows of actors that are closed off are counted only: that they fail is
 * known, and the rest of the file is worth keeping. So are sessions, which carry no CRC and which nothing depends on.
 */
import { checkFormat, tenantFormat } from './migrations.ts';
import { openDatabase } from './sqlite.ts';
import type { TenantFile } from './tenant-file.ts';

/** @returns rows by table @throws DamagedFileError, DamagedActorError, SqliteError */
export function checkTenantFile(file: TenantFile): Record<string, number> {
  file.checkStructure();
  const skips = (type: string, id: string): boolean => file.closed.reason(type, id) !== undefined;
  const rows = {
    actors: file.actors.check(skips),
    calls: file.calls.check(skips),
    quarantined: file.closed.list().length,
    ...file.numbered.check(skips),
    visitors: file.visitors.check(skips),
    places: file.places.check(skips),
    history: file.history.check(skips),
    sessions: file.sessions.count(),
  };
  // Reading a place also asks whether one is missing.
  for (const { type, id } of file.names()) if (!skips(type, id)) file.places.read(type, id);
  return rows;
}

/** The format's version, before TenantFile.open brings it up to date. @throws DamagedFileError, NewerFileError, SqliteError */
export function tenantFileVersion(path: string): number {
  const db = openDatabase(path);
  try {
    return checkFormat(db, path, tenantFormat);
  } finally {
    db.close();
  }
}
