import Database from 'better-sqlite3';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { JournalEntry } from '../../src/storage/contract.ts';
import { encodeEntries } from '../../src/storage/entry.ts';
import type { KeeperCore } from '../../src/storage/keeper.ts';
import {
  address,
  callEntry,
  clockAt,
  codeOf,
  okCall,
  openCore,
  patchEntry,
  stateEntry,
  stateOf,
  temporaryDirectory,
} from './fixtures.ts';

const c1 = address('c1');

describe('the keeper', () => {
  it('answers for an actor that was never written without making a file', () => {
    const dataDir = temporaryDirectory();
    expect(openCore(dataDir).load(c1)).toMatchObject({ seq: 0, version: 0, state: undefined, hasOutcomes: false });
    expect(readdirSync(dataDir)).toEqual([]);
  });

  it('answers from entries that no file holds yet', () => {
    const core = openCore(temporaryDirectory());
    give(core, 1, [
      stateEntry(c1, 1, { count: 1 }),
      patchEntry(c1, 2, [{ op: 'replace', path: '/count', value: 2 }], okCall('k', 2)),
    ]);
    expect(core.load(c1)).toMatchObject({ seq: 2, version: 1, state: '{"count":2}', hasOutcomes: true });
    expect(core.outcome(c1, 'k')).toEqual({ args: 'hash of k', outcome: { kind: 'ok', result: '2' } });
    expect(core.outcome(c1, 'other')).toBeUndefined();
    give(core, 2, [patchEntry(c1, 3, [{ op: 'replace', path: '/count', value: 3 }])]);
    expect(stateOf(core, c1)).toEqual({ count: 3 });
  });

  it('writes an actor once, however many turns it made', () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir);
    give(core, 1, [stateEntry(c1, 1, { count: 1 })]);
    core.flush();
    for (let seq = 2; seq <= 500; seq += 1)
      give(core, seq, [patchEntry(c1, seq, [{ op: 'replace', path: '/count', value: seq }])]);
    core.flush();
    expect(query(dataDir, 'acme', 'SELECT seq, state FROM actors')).toEqual([{ seq: 500, state: '{"count":500}' }]);
  });

  it('tells each shard the last row before which everything is in its file', () => {
    const core = openCore(temporaryDirectory());
    const synced: string[] = [];
    for (const shard of [0, 1])
      core.attach(shard, { synced: (seq) => synced.push(`${shard}:${seq}`), quarantined: () => undefined });
    give(core, 1, [stateEntry(c1, 1, 1), stateEntry(address('c1', 'b-2'), 1, 1)]);
    give(core, 2, [stateEntry(c1, 2, 2)]);
    give(core, 7, [stateEntry(address('c9'), 1, 1)], 1);
    expect(synced).toEqual([]);
    core.flush();
    expect(synced).toEqual(['0:2', '1:7']);
    core.flush();
    expect(synced).toHaveLength(2);
    core.attach(0, { synced: (seq) => synced.push(`late ${seq}`), quarantined: () => undefined });
    expect(synced.at(-1)).toBe('late 2');
  });

  it('writes by itself after its delay', async () => {
    const core = openCore(temporaryDirectory(), { keeperDelayMs: 1 });
    const synced = new Promise((resolve) => core.attach(0, { synced: resolve, quarantined: () => undefined }));
    give(core, 1, [stateEntry(c1, 1, 1)]);
    expect(await synced).toBe(1);
  });

  it('writes early when much is pending', async () => {
    const core = openCore(temporaryDirectory(), { journalBytesMax: 400, stateBytesMax: 400 });
    const synced = new Promise((resolve) => core.attach(0, { synced: resolve, quarantined: () => undefined }));
    give(core, 1, [stateEntry(c1, 1, 'x'.repeat(200))]);
    expect(await synced).toBe(1);
  });

  it('ignores a row that came before, and changes that a file already holds', () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir);
    const rows: JournalEntry[][] = [
      [stateEntry(c1, 1, [1])],
      [patchEntry(c1, 2, [{ op: 'add', path: '/-', value: 2 }])],
    ];
    for (const [at, row] of rows.entries()) give(core, at + 1, row);
    give(core, 2, rows[1]!);
    core.flush();
    core.close();
    const again = openCore(dataDir);
    for (const [at, row] of rows.entries()) give(again, at + 1, row);
    expect(stateOf(again, c1)).toEqual([1, 2]);
    again.flush();
    expect(stateOf(again, c1)).toEqual([1, 2]);
  });

  it('keeps outcomes for their time, then forgets them and lets the key be used anew', () => {
    const dataDir = temporaryDirectory();
    const clock = clockAt(1_000_000);
    const core = openCore(dataDir, { outcomeMs: 1000 }, clock);
    give(core, 1, [callEntry(c1, 0, okCall('k', 'old', clock.nowMs))]);
    core.flush();
    clock.nowMs += 1000;
    expect(core.outcome(c1, 'k')).toMatchObject({ outcome: { result: '"old"' } });
    clock.nowMs += 1;
    expect(core.outcome(c1, 'k')).toBeUndefined();
    give(core, 2, [callEntry(c1, 0, okCall('k', 'new', clock.nowMs)), callEntry(c1, 0, okCall('j', 1, 1))]);
    core.flush();
    expect(core.outcome(c1, 'k')).toMatchObject({ outcome: { result: '"new"' } });
    expect(core.load(c1)).toMatchObject({ seq: 0, state: undefined, hasOutcomes: true });
    expect(query(dataDir, 'acme', 'SELECT key FROM calls')).toEqual([{ key: 'k' }]);
  });

  it('holds no more tenant files open than it may', () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir, { tenantFilesOpenMax: 2 });
    const tenants = Array.from({ length: 6 }, (_, n) => address('c1', `t${n}`));
    give(
      core,
      1,
      tenants.map((at, n) => stateEntry(at, 1, n)),
    );
    core.flush();
    // An open file has its WAL beside it; the last connection takes it away.
    const open = tenants.filter(({ tenant }) => existsSync(join(dataDir, 'tenants', tenant, 'tenant.db-wal')));
    expect(open).toHaveLength(2);
    for (const [n, at] of tenants.entries()) expect(stateOf(core, at)).toBe(n);
  });
});

describe('the keeper, when a file cannot be written', () => {
  it('keeps everything, answers from memory, and catches up when writing works again', () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir);
    const synced: number[] = [];
    core.attach(0, { synced: (seq) => synced.push(seq), quarantined: () => expect.fail('nothing is damaged') });
    give(core, 1, [stateEntry(c1, 1, 1), stateEntry(address('c1', 'b-2'), 1, 1)]);
    core.flush();
    const other = new Database(join(dataDir, 'tenants/acme/tenant.db'));
    other.exec(
      "CREATE TRIGGER full BEFORE UPDATE ON actors BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END",
    );
    give(core, 2, [stateEntry(c1, 2, 2, okCall('k', 2)), stateEntry(address('c1', 'b-2'), 2, 2)]);
    expect(core.flush()).toBe(false);
    expect(core.flush()).toBe(false);
    expect(synced).toEqual([1]);
    expect(stateOf(core, c1)).toBe(2);
    expect(core.outcome(c1, 'k')).toBeDefined();
    expect(query(dataDir, 'b-2', 'SELECT seq FROM actors')).toEqual([{ seq: 2 }]);
    other.exec('DROP TRIGGER full');
    other.close();
    expect(core.flush()).toBe(true);
    expect(synced).toEqual([1, 2]);
  });

  it('tries again each second by itself', async () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir, { keeperDelayMs: 1 });
    // Something else lies where the tenants' directory belongs.
    symlinkSync('nowhere', join(dataDir, 'tenants'));
    const synced = new Promise((resolve) =>
      core.attach(0, { synced: resolve, quarantined: () => expect.fail('nothing is damaged') }),
    );
    give(core, 1, [stateEntry(c1, 1, 1)]);
    expect(core.flush()).toBe(false);
    unlinkSync(join(dataDir, 'tenants'));
    expect(await synced).toBe(1);
  });

  it('refuses a tenant whose directory is a link, and reads nothing through it', () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir);
    give(core, 1, [stateEntry(address('c1', 'victim'), 1, 'secret')]);
    core.flush();
    symlinkSync('victim', join(dataDir, 'tenants/thief'));
    expect(codeOf(() => core.load(address('c1', 'thief')))).toBe('READ_ONLY');
    give(core, 2, [stateEntry(address('c1', 'thief'), 9, 'mine')]);
    expect(core.flush()).toBe(false);
    expect(stateOf(core, address('c1', 'victim'))).toBe('secret');
  });

  it('refuses a tenant whose directory cannot be looked into, and goes on', () => {
    const dataDir = temporaryDirectory();
    mkdirSync(join(dataDir, 'tenants'));
    writeFileSync(join(dataDir, 'tenants/acme'), 'a file, where a directory belongs');
    const core = openCore(dataDir);
    expect(codeOf(() => core.load(c1))).toBe('READ_ONLY');
    expect(codeOf(() => core.outcome(c1, 'k'))).toBe('READ_ONLY');
    give(core, 1, [stateEntry(c1, 1, 1), stateEntry(address('c1', 'b-2'), 1, 1)]);
    expect(core.flush()).toBe(false);
    expect(query(dataDir, 'b-2', 'SELECT seq FROM actors')).toEqual([{ seq: 1 }]);
  });

  it('opens no path for a name that is no tenant', () => {
    const dataDir = temporaryDirectory();
    mkdirSync(join(dataDir, 'elsewhere'));
    for (const tenant of ['..', '../elsewhere', 'A', '', 'a/b', 'a\0b', '.', 'x'.repeat(64)]) {
      expect(() => openCore(dataDir).load(address('c1', tenant)), tenant).toThrow();
    }
    expect(readdirSync(dataDir)).toEqual(['elsewhere']);
  });
});

describe('the keeper, when patches do not fit', () => {
  it.each([
    ['a path that is not there', patchEntry(c1, 2, [{ op: 'replace', path: '/nope', value: 1 }])],
    ['a missing change', patchEntry(c1, 3, [{ op: 'replace', path: '/count', value: 3 }])],
    ['another version', { ...patchEntry(c1, 2, [{ op: 'replace', path: '/count', value: 2 }]), version: 2 }],
  ])('closes the actor off for good: %s', (_, bad) => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir);
    const told: unknown[] = [];
    const synced: number[] = [];
    core.attach(0, { synced: (seq) => synced.push(seq), quarantined: (at) => told.push(at) });
    give(core, 1, [stateEntry(c1, 1, { count: 1 }), stateEntry(address('c2'), 1, 2)]);
    core.flush();
    give(core, 2, [bad]);
    core.flush();
    expect(told).toEqual([c1]);
    expect(synced).toEqual([1, 2]);
    give(core, 3, [stateEntry(c1, 9, 'later')]);
    core.flush();
    for (const each of [core, openCore(dataDir)]) {
      expect(codeOf(() => each.load(c1))).toBe('QUARANTINED');
      expect(codeOf(() => each.outcome(c1, 'k'))).toBe('QUARANTINED');
      expect(stateOf(each, address('c2'))).toBe(2);
    }
    expect(held(dataDir)).toEqual([encodeEntries([bad]), encodeEntries([stateEntry(c1, 9, 'later')])]);
  });

  it('closes the actor off at a load before the write, too', () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir);
    give(core, 1, [patchEntry(c1, 5, [{ op: 'add', path: '/x', value: 1 }])]);
    expect(codeOf(() => core.load(c1))).toBe('QUARANTINED');
    core.flush();
    expect(codeOf(() => openCore(dataDir).load(c1))).toBe('QUARANTINED');
    expect(held(dataDir)).toHaveLength(1);
  });
});

describe('a quarantined tenant', () => {
  it('is refused, its file moved aside, its later entries held, and stays so after a restart', () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir);
    give(core, 1, [stateEntry(c1, 1, 'precious'), stateEntry(address('c1', 'b-2'), 1, 'fine')]);
    core.flush();
    core.quarantineTenant('acme', 'the test says so');
    give(core, 2, [stateEntry(c1, 2, 'acknowledged', okCall('k', 1))]);
    expect(core.flush()).toBe(true);
    expect(core.synced(0)).toBe(2);
    for (const each of [core, openCore(dataDir)]) {
      expect(codeOf(() => each.load(c1))).toBe('QUARANTINED');
      expect(stateOf(each, address('c1', 'b-2'))).toBe('fine');
    }
    expect(readdirSync(join(dataDir, 'tenants/acme'))).toEqual(['QUARANTINED']);
    const marker = JSON.parse(readFileSync(join(dataDir, 'tenants/acme/QUARANTINED'), 'utf8')) as {
      reason: string;
      movedTo: string;
    };
    expect(marker.reason).toBe('the test says so');
    expect(existsSync(join(dataDir, marker.movedTo, 'tenant.db'))).toBe(true);
    expect(held(dataDir).join()).toContain('acknowledged');
  });
});

function give(core: KeeperCore, journalSeq: number, entries: readonly JournalEntry[], shard = 0): void {
  core.committed(shard, { journalSeq, body: encodeEntries(entries) });
}

function query(dataDir: string, tenant: string, sql: string): unknown[] {
  const db = new Database(join(dataDir, 'tenants', tenant, 'tenant.db'), { readonly: true });
  try {
    return db.prepare(sql).all();
  } finally {
    db.close();
  }
}

function held(dataDir: string): unknown[] {
  const db = new Database(join(dataDir, 'quarantine/held-entries.db'), { readonly: true });
  try {
    return db.prepare('SELECT entry FROM held ORDER BY n').pluck().all();
  } finally {
    db.close();
  }
}
