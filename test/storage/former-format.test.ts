import Database from 'better-sqlite3';
import { crc32 } from 'node:zlib';
import { mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listActors, listSessions, readActor } from '../../src/storage/inspect.ts';
import { journalPath } from '../../src/storage/paths.ts';
import { recover } from '../../src/storage/recovery.ts';
import { address, openCore, silentLog, temporaryDirectory } from './fixtures.ts';

const c1 = address('c1');

describe('a data directory of the first format', () => {
  it('is brought up to date as it is opened, and takes the run that does so as its epoch', () => {
    const dataDir = formerDirectory();
    const core = openCore(dataDir, {}, undefined, 'boot-7');
    expect(recover(dataDir, core, 1, silentLog)).toMatchObject({ rows: 1, pending: false });
    expect(core.load(c1)).toEqual({
      seq: 2,
      version: 1,
      state: '{"n":2}',
      hasOutcomes: true,
      hasNumbered: false,
      epoch: 'boot-7',
      eventSeq: 0,
      patchSeq: 0,
      visitors: [],
      visitSeq: 0,
    });
    expect(core.outcome(c1, 'k')).toEqual({ args: 'hash', outcome: { kind: 'ok', result: '7' } });
    core.close();
    expect(openCore(dataDir, {}, undefined, 'boot-8').load(c1).epoch).toBe('boot-7');
    for (const path of ['tenants/acme/tenant.db', 'journal/0.db']) {
      const db = new Database(join(dataDir, path), { readonly: true });
      expect(db.pragma('user_version', { simple: true }), path).toBe(path.startsWith('journal') ? 3 : 2);
      db.close();
    }
  });

  it('can be inspected before that, and stays as it is', () => {
    const dataDir = formerDirectory();
    const files = (): string[] => (readdirSync(dataDir, { recursive: true }) as string[]).sort();
    const before = files();
    expect(readActor(dataDir, 'acme', 'counter', 'c1')).toMatchObject({
      seq: 2,
      state: '{"n":2}',
      outcomes: 1,
      visitors: 0,
    });
    expect(listActors(dataDir, 'acme')).toHaveLength(1);
    expect(listSessions(dataDir, 'acme')).toEqual([]);
    expect(files()).toEqual(before);
    const db = new Database(join(dataDir, 'tenants/acme/tenant.db'), { readonly: true });
    expect(db.pragma('user_version', { simple: true })).toBe(1);
    db.close();
  });
});

/** As the first version wrote it: state 1 and an outcome in the tenant file, patches to state 2 in the journal. */
function formerDirectory(): string {
  const dataDir = temporaryDirectory();
  const atMs = Date.now();
  const state = '{"n":1}';
  const outcome = '{"kind":"ok","result":"7"}';
  file(join(dataDir, 'tenants/acme/tenant.db'), 0x4672546e, [
    `CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
     CREATE TABLE actors (type TEXT NOT NULL, id TEXT NOT NULL, hash INTEGER NOT NULL, seq INTEGER NOT NULL, version INTEGER NOT NULL,
       updated_ms INTEGER NOT NULL, crc INTEGER NOT NULL, state TEXT NOT NULL, PRIMARY KEY (type, id)) STRICT;
     CREATE INDEX actors_by_hash ON actors (hash);
     CREATE TABLE calls (type TEXT NOT NULL, id TEXT NOT NULL, key TEXT NOT NULL, args TEXT NOT NULL, at_ms INTEGER NOT NULL,
       crc INTEGER NOT NULL, outcome TEXT NOT NULL, PRIMARY KEY (type, id, key)) STRICT, WITHOUT ROWID;
     CREATE INDEX calls_by_age ON calls (at_ms);
     CREATE TABLE quarantined (type TEXT NOT NULL, id TEXT NOT NULL, reason TEXT NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (type, id)) STRICT, WITHOUT ROWID;`,
    "INSERT INTO meta VALUES ('tenant', 'acme'), ('created', '2026-01-01T00:00:00.000Z')",
    `INSERT INTO actors VALUES ('counter', 'c1', ${crc32('counter\nc1')}, 1, 1, ${atMs},
       ${crc32(`acme\ncounter\nc1\n1\n1\n${atMs}\n${state}`)}, '${state}')`,
    `INSERT INTO calls VALUES ('counter', 'c1', 'k', 'hash', ${atMs},
       ${crc32(`acme\ncounter\nc1\nk\nhash\n${atMs}\n${outcome}`)}, '${outcome}')`,
  ]);
  const text = '["acme","counter","c1",2,1,"patches"]\t[{"op":"replace","path":"/n","value":2}]\t';
  const body = `${crc32(text).toString(16).padStart(8, '0')}\t${text}`;
  const toc = '1\tacme\tcounter\tc1';
  file(journalPath(dataDir, 0), 0x46724a6c, [
    `CREATE TABLE rows (journal_seq INTEGER PRIMARY KEY, toc TEXT NOT NULL, toc_crc INTEGER NOT NULL, body TEXT NOT NULL, crc INTEGER NOT NULL) STRICT;
     CREATE TABLE marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
     INSERT INTO marks VALUES ('forgotten', 0), ('flushes', 0);`,
    `INSERT INTO rows VALUES (1, '${toc}', ${crc32(toc, 1)}, '${body}', ${crc32(body, 1)})`,
  ]);
  return dataDir;
}

function file(path: string, applicationId: number, statements: readonly string[]): void {
  mkdirSync(dirname(path), { recursive: true });
  const db = new Database(path);
  db.pragma(`application_id = ${applicationId}`);
  for (const sql of statements) db.exec(sql);
  db.pragma('user_version = 1');
  db.pragma('journal_mode = WAL');
  db.close();
}
