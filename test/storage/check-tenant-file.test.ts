import Database from 'better-sqlite3';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkTenantFile, tenantFileVersion } from '../../src/storage/check-tenant-file.ts';
import { encodeEntries } from '../../src/storage/entry.ts';
import { tenantFormat } from '../../src/storage/migrations.ts';
import { TenantFile } from '../../src/storage/tenant-file.ts';
import { address, ok, okCall, openCore, stateEntry, temporaryDirectory, trailEntry, visitorOf } from './fixtures.ts';

const dirs = { create: false, nowMs: 0, boot: 'boot-1' };

/** Two actors with a row or more in each table, and some SQL on top. */
function check(sql = ''): Record<string, number> {
  const dataDir = temporaryDirectory();
  const core = openCore(dataDir);
  const entries = ['c1', 'c2'].map((id) => {
    const trail = {
      numbered: [{ client: 'a', ack: 1, calls: [{ n: 2, outcome: ok(2), atMs: Date.now() }] }],
      visits: [{ kind: 'in' as const, n: 1, visitor: visitorOf('a') }],
      patches: [{ seq: 1, text: '[]' }],
      events: [{ seq: 1, text: '{}' }],
      eventsMax: 3,
    };
    return trailEntry(address(id), 1, trail, stateEntry(address(id), 1, { n: 1 }, okCall('k', 1)));
  });
  core.committed(0, { journalSeq: 1, body: encodeEntries(entries) });
  expect(core.close()).toBe(true);
  const path = join(dataDir, 'tenants/acme/tenant.db');
  const db = new Database(path);
  db.unsafeMode(true);
  db.exec(sql);
  db.close();
  expect(tenantFileVersion(path)).toBe(tenantFormat.steps.length);
  const file = TenantFile.open(dataDir, 'acme', dirs)!;
  try {
    return checkTenantFile(file);
  } finally {
    file.close();
  }
}

describe('the check of a tenant file', () => {
  it('counts the rows of each table', () => {
    expect(check()).toEqual({
      actors: 2,
      calls: 2,
      quarantined: 0,
      numbered: 2,
      acks: 2,
      visitors: 2,
      places: 2,
      history: 4,
      sessions: 0,
    });
  });

  it.each([
    ["UPDATE actors SET state = '{}' WHERE id = 'c2'", 'actor counter/c2 of tenant acme fails its check'],
    ['UPDATE actors SET hash = 7', 'actor counter/c1 of tenant acme fails its check'],
    ["UPDATE calls SET args = 'other'", 'an outcome of counter/c1'],
    ['UPDATE numbered SET n = 3', 'a numbered call of counter/c1'],
    ['UPDATE acks SET ack = 0', 'a numbered call of counter/c1'],
    ["UPDATE visitors SET claims = '{}'", 'a visitor of counter/c1'],
    ['UPDATE places SET events_max = 9', 'the count of visits and events of counter/c1'],
    ["DELETE FROM places WHERE id = 'c2'", 'actor counter/c2 of tenant acme has lost count'],
    ["UPDATE history SET at_ms = 9 WHERE stream = 'event'", 'kept history of counter/c1'],
    ["UPDATE calls SET id = 'c3' WHERE id = 'c2'", 'an outcome of counter/c3'],
  ])('names what was changed by %s', (sql, problem) => {
    expect(() => check(sql)).toThrow(problem);
  });

  it('does not ask of actors that are closed off that they are sound', () => {
    const damage = "UPDATE actors SET state = '{}' WHERE id = 'c2'; DELETE FROM places WHERE id = 'c2';";
    expect(check(`${damage} INSERT INTO quarantined VALUES ('counter', 'c2', 'damaged', 0)`)).toMatchObject({
      actors: 2,
      places: 1,
      quarantined: 1,
    });
  });

  it('lets SQLite look at the structure', () => {
    // The index of the table of calls is said to be over another column than it was built over.
    const sql = `PRAGMA writable_schema = ON;
      UPDATE sqlite_schema SET sql = 'CREATE INDEX calls_by_age ON calls (crc)' WHERE name = 'calls_by_age';`;
    expect(() => check(sql)).toThrow(/integrity check says/);
  });
});
