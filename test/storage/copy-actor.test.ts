import Database from 'better-sqlite3';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { JournalEntry, Trail } from '../../src/storage/contract.ts';
import { checkTenantFile } from '../../src/storage/check-tenant-file.ts';
import { copyActor } from '../../src/storage/copy-actor.ts';
import { encodeEntries } from '../../src/storage/entry.ts';
import type { KeeperCore } from '../../src/storage/keeper.ts';
import { TenantFile } from '../../src/storage/tenant-file.ts';
import { address, ok, okCall, openCore, stateEntry, temporaryDirectory, trailEntry, visitorOf } from './fixtures.ts';

const now = Date.now();
const options = { create: false, nowMs: now, boot: 'boot-1' };

function write(dataDir: string, entries: readonly JournalEntry[]): void {
  const core = openCore(dataDir);
  core.committed(0, { journalSeq: 1, body: encodeEntries(entries) });
  expect(core.close()).toBe(true);
}

/** With something of every kind; `seq` tells one from another. */
function whole(id: string, tenant: string, seq: number): JournalEntry[] {
  const trail: Partial<Trail> = {
    numbered: [{ client: 'a', ack: seq, calls: [{ n: seq + 1, outcome: ok(seq), atMs: now }] }],
    visits: [{ kind: 'in', n: seq, visitor: visitorOf(`visitor ${seq}`) }],
    patches: [{ seq, text: `["patch ${seq}"]` }],
    events: [{ seq, text: `"event ${seq}"` }],
    eventsMax: 3,
  };
  const at = address(id, tenant);
  return [trailEntry(at, seq, trail, stateEntry(at, seq, { seq }, okCall(`key ${seq}`, seq)))];
}

function open(dataDir: string, tenant: string): TenantFile {
  const file = TenantFile.open(dataDir, tenant, options)!;
  onTestFinished(() => file.close());
  return file;
}

function told(core: KeeperCore, tenant: string): unknown {
  const at = address('c1', tenant);
  const { epoch: _, ...loaded } = core.load(at);
  const outcomes = [3, 9].map((seq) => core.outcome(at, `key ${seq}`));
  return [loaded, outcomes, core.numbered(at, 'a'), core.history(at, 'state', -1), core.history(at, 'event', -1)];
}

function change(dataDir: string, tenant: string, sql: string): void {
  const db = new Database(join(dataDir, 'tenants', tenant, 'tenant.db'));
  db.exec(sql);
  db.close();
}

describe('an actor that is copied into another file', () => {
  it('is there with everything, and nothing of what was there before, newer or closed off as that may be', () => {
    const [source, live] = [temporaryDirectory(), temporaryDirectory()];
    write(source, whole('c1', 'acme', 3));
    write(live, [...whole('c1', 'b-2', 9), ...whole('c2', 'b-2', 9)]);
    change(live, 'b-2', "INSERT INTO quarantined VALUES ('counter', 'c1', 'damaged', 0)");
    expect(() => openCore(live).load(address('c1', 'b-2'))).toThrow('is closed');
    const [from, to] = [open(source, 'acme'), open(live, 'b-2')];
    copyActor(from, to, 'counter', 'c1');
    expect(to.closed.reason('counter', 'c1')).toBeUndefined();
    expect(checkTenantFile(to)).toMatchObject({ actors: 2, calls: 2, visitors: 2, quarantined: 0 });
    expect(to.actors.read('counter', 'c1')).toEqual(from.actors.read('counter', 'c1'));
    expect(told(openCore(live), 'b-2')).toEqual(told(openCore(source), 'acme'));
    expect(openCore(live).load(address('c2', 'b-2'))).toMatchObject({ seq: 9, visitSeq: 9 });
  });

  it('is gone where the other file does not know it', () => {
    const [source, live] = [temporaryDirectory(), temporaryDirectory()];
    write(source, whole('c2', 'acme', 3));
    write(live, whole('c1', 'acme', 9));
    const to = open(live, 'acme');
    copyActor(open(source, 'acme'), to, 'counter', 'c1');
    const rows = checkTenantFile(to);
    expect(Object.values(rows).every((count) => count === 0)).toBe(true);
    expect(to.names()).toEqual([]);
  });

  it('stays as it was when a row of the source fails its check', () => {
    for (const sql of [
      'UPDATE history SET at_ms = 1',
      'UPDATE acks SET ack = 1',
      "UPDATE calls SET args = 'x'",
      'DELETE FROM places',
    ]) {
      const [source, live] = [temporaryDirectory(), temporaryDirectory()];
      write(source, whole('c1', 'acme', 3));
      write(live, whole('c1', 'acme', 9));
      change(source, 'acme', sql);
      const to = open(live, 'acme');
      expect(() => copyActor(open(source, 'acme'), to, 'counter', 'c1'), sql).toThrow('was undone');
      expect(checkTenantFile(to)).toMatchObject({ actors: 1, calls: 1 });
      expect(to.actors.seq('counter', 'c1')).toBe(9);
    }
  });

  it('keeps its outcomes no longer than before', () => {
    const [source, live] = [temporaryDirectory(), temporaryDirectory()];
    write(source, whole('c1', 'acme', 3));
    write(live, whole('c2', 'acme', 9));
    const [from, to] = [open(source, 'acme'), open(live, 'acme')];
    copyActor(from, to, 'counter', 'c1');
    const ages = (dataDir: string): unknown => {
      const db = new Database(join(dataDir, 'tenants/acme/tenant.db'), { readonly: true });
      const sql = ['calls', 'numbered', 'acks', 'history'].map((table) => `SELECT at_ms FROM ${table} WHERE id = 'c1'`);
      const found = sql.map((each) => db.prepare(each).pluck().all());
      db.close();
      return found;
    };
    expect(ages(live)).toEqual(ages(source));
  });
});
