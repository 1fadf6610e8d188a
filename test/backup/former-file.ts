/** A tenant's file as the first version of the format had it. */
import { crc32 } from 'node:zlib';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { tenantFormat } from '../../src/storage/migrations.ts';

/** Of tenant acme, with actor counter/c1 in state 1 and the outcome of call `k`. @returns its path */
export function formerTenantFile(directory: string): string {
  const path = join(directory, 'former.db');
  const atMs = Date.now();
  const state = '{"n":1}';
  const outcome = '{"kind":"ok","result":"7"}';
  const db = new Database(path);
  db.pragma(`application_id = ${tenantFormat.applicationId}`);
  db.exec(tenantFormat.steps[0]!);
  db.exec("INSERT INTO meta VALUES ('tenant', 'acme'), ('created', '2026-01-01T00:00:00.000Z')");
  db.prepare("INSERT INTO actors VALUES ('counter', 'c1', ?, 1, 1, ?, ?, ?)").run(
    crc32('counter\nc1'),
    atMs,
    crc32(`acme\ncounter\nc1\n1\n1\n${atMs}\n${state}`),
    state,
  );
  const crc = crc32(`acme\ncounter\nc1\nk\nhash\n${atMs}\n${outcome}`);
  db.prepare("INSERT INTO calls VALUES ('counter', 'c1', 'k', 'hash', ?, ?, ?)").run(atMs, crc, outcome);
  db.pragma('user_version = 1');
  db.close();
  return path;
}
