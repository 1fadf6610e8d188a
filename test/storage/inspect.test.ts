import Database from 'better-sqlite3';
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Trail } from '../../src/storage/contract.ts';
import { InspectError, listActors, listTenants, readActor } from '../../src/storage/inspect.ts';
import type { Journal } from '../../src/storage/journal.ts';
import type { KeeperCore } from '../../src/storage/keeper.ts';
import {
  address,
  codeOf,
  ok,
  okCall,
  openCore,
  openJournal,
  patchEntry,
  stateEntry,
  temporaryDirectory,
  trailEntry,
  visitorOf,
} from './fixtures.ts';

const c1 = address('räume/1');

describe('inspecting a data directory', () => {
  it('shows exactly what was acknowledged, beside a live writer, whether journal or file has it', () => {
    const { dataDir, core, journal } = fixture();
    expect(readActor(dataDir, 'acme', 'counter', 'räume/1')).toMatchObject({
      seq: 1,
      state: '{"count":1}',
      readFrom: 'journal',
      outcomes: 1,
      updatedMs: undefined,
    });
    core.flush();
    expect(readActor(dataDir, 'acme', 'counter', 'räume/1')).toMatchObject({
      seq: 1,
      state: '{"count":1}',
      readFrom: 'tenant file',
      outcomes: 1,
    });
    commit(journal, core, 2);
    expect(readActor(dataDir, 'acme', 'counter', 'räume/1')).toMatchObject({
      seq: 2,
      version: 1,
      bytes: 11,
      state: '{"count":2}',
      readFrom: 'journal',
      outcomes: 2,
    });
    for (let seq = 3; seq < 30; seq += 1) {
      commit(journal, core, seq);
      if (seq % 3 === 0) core.flush();
      if (seq % 5 === 0) journal.flush();
      expect(readActor(dataDir, 'acme', 'counter', 'räume/1').state).toBe(`{"count":${seq}}`);
    }
  });

  it('shows the same of a killed, a stopped and a copied directory, and leaves no trace in any', () => {
    const { dataDir, core, journal } = fixture();
    core.flush();
    commit(journal, core, 2);
    const killed = copyOf(dataDir);
    const copied = copyOf(dataDir);
    for (const name of list(copied)) if (name.endsWith('-shm')) rmSync(join(copied, name));
    core.close();
    journal.close();
    for (const directory of [killed, copied, copyOf(dataDir)]) {
      const before = list(directory);
      expect(readActor(directory, 'acme', 'counter', 'räume/1').state).toBe('{"count":2}');
      expect(listTenants(directory).map(({ tenant }) => tenant)).toEqual(['acme', 'b-2']);
      expect(listActors(directory, 'acme')).toHaveLength(2);
      expect(list(directory)).toEqual(before);
    }
  });

  it('lists tenants and actors, also those that a journal alone has', () => {
    const { dataDir, core, journal } = fixture();
    core.flush();
    core.committed(
      0,
      journal.commit([stateEntry(address('new'), 1, [1, 2]), stateEntry(address('c1', 'fresh'), 1, 1)], 'durable'),
    );
    expect(listTenants(dataDir)).toMatchObject([
      { tenant: 'acme', quarantined: undefined },
      { tenant: 'b-2' },
      { tenant: 'fresh', bytes: 0 },
    ]);
    expect(listActors(dataDir, 'acme')).toMatchObject([
      { id: 'new', readFrom: 'journal', bytes: 5 },
      { id: 'other' },
      { id: 'räume/1', readFrom: 'tenant file' },
    ]);
    expect(listActors(dataDir, 'acme', 1)).toHaveLength(1);
    expect(readActor(dataDir, 'fresh', 'counter', 'c1')).toMatchObject({ state: '1' });
  });

  it('counts visitors and outcomes of numbered calls, whether journal or file has them', () => {
    const { dataDir, core, journal } = fixture();
    const atMs = Date.now();
    const leave = (ack: number, n: number, visits: Trail['visits']) =>
      trailEntry(c1, 1, { numbered: [{ client: 'abcdefgh', ack, calls: [{ n, outcome: ok(n), atMs }] }], visits });
    const came = (n: number, clientId: string) => ({ kind: 'in', n, visitor: visitorOf(clientId) }) as const;
    const counts = () => {
      const { outcomes, visitors } = readActor(dataDir, 'acme', 'counter', 'räume/1');
      return { outcomes, visitors };
    };
    core.committed(0, journal.commit([leave(0, 1, [came(1, 'a')]), leave(0, 2, [came(2, 'b')])], 'durable'));
    expect(counts()).toEqual({ outcomes: 3, visitors: 2 });
    core.flush();
    expect(counts()).toEqual({ outcomes: 3, visitors: 2 });
    core.committed(0, journal.commit([leave(1, 3, [{ kind: 'out', n: 3, clientId: 'a' }])], 'durable'));
    expect(counts()).toEqual({ outcomes: 3, visitors: 1 });
    core.flush();
    expect(counts()).toEqual({ outcomes: 3, visitors: 1 });
  });

  it('says what is not there', () => {
    const { dataDir } = fixture();
    expect(() => readActor(dataDir, 'acme', 'counter', 'nobody')).toThrow(
      'tenant "acme" has no actor "counter/nobody"',
    );
    expect(() => listActors(dataDir, 'nobody')).toThrow(`there is no tenant "nobody" in ${dataDir}`);
    expect(() => listActors(dataDir, '../acme')).toThrow('is not a name that a tenant can have');
    expect(() => listTenants(join(dataDir, 'nowhere'))).toThrow(InspectError);
    expect(list(dataDir).some((name) => name.includes('nobody'))).toBe(false);
  });

  it('says what is quarantined and why', () => {
    const { dataDir, core } = fixture();
    core.flush();
    const db = new Database(join(dataDir, 'tenants/acme/tenant.db'));
    db.exec("UPDATE actors SET state = '{\"count\":9}' WHERE id = 'räume/1'");
    db.close();
    expect(() => readActor(dataDir, 'acme', 'counter', 'räume/1')).toThrow(/is quarantined: .* fails its check/);
    expect(codeOf(() => core.load(c1))).toBe('QUARANTINED');
    core.flush();
    expect(() => readActor(dataDir, 'acme', 'counter', 'räume/1')).toThrow(/is quarantined: .* fails its check/);
    expect(listActors(dataDir, 'acme').map(({ id, quarantined }) => [id, quarantined !== undefined])).toEqual([
      ['other', false],
      ['räume/1', true],
    ]);
    core.quarantineTenant('acme', 'its file broke');
    expect(() => listActors(dataDir, 'acme')).toThrow(
      /tenant "acme" is quarantined since .*: its file broke; its file lies in quarantine\/acme-/,
    );
    expect(listTenants(dataDir)[0]).toMatchObject({ quarantined: 'its file broke' });
  });
});

function fixture(): { dataDir: string; core: KeeperCore; journal: Journal } {
  const dataDir = temporaryDirectory();
  const core = openCore(dataDir);
  const journal = openJournal(dataDir);
  core.attach(0, { synced: (journalSeq) => journal.forget(journalSeq), quarantined: () => undefined });
  const entries = [
    stateEntry(c1, 1, { count: 1 }, okCall('k1', 1)),
    stateEntry(address('other'), 1, 0),
    stateEntry(address('c1', 'b-2'), 1, 0),
  ];
  core.committed(0, journal.commit(entries, 'durable'));
  return { dataDir, core, journal };
}

function commit(journal: Journal, core: KeeperCore, seq: number): void {
  core.committed(
    0,
    journal.commit(
      [patchEntry(c1, seq, [{ op: 'replace', path: '/count', value: seq }], okCall(`k${seq}`, seq))],
      'durable',
    ),
  );
}

function copyOf(dataDir: string): string {
  const copy = temporaryDirectory();
  cpSync(dataDir, copy, { recursive: true });
  return copy;
}

function list(dataDir: string): string[] {
  return (readdirSync(dataDir, { recursive: true }) as string[]).sort();
}
