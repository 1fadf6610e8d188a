import Database from 'better-sqlite3';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { JournalEntry, NumberedCall } from '../../src/storage/contract.ts';
import { encodeEntries } from '../../src/storage/entry.ts';
import type { KeeperCore } from '../../src/storage/keeper.ts';
import { recover } from '../../src/storage/recovery.ts';
import {
  address,
  callEntry,
  clockAt,
  codeOf,
  ok,
  okCall,
  openCore,
  patchEntry,
  silentLog,
  stateEntry,
  steppedClock,
  temporaryDirectory,
  trailEntry,
  visitorOf,
} from './fixtures.ts';

const c1 = address('c1');
const client = 'abcdefgh';

describe('what is old', () => {
  it('goes as fast as new comes, however much that is', () => {
    const dataDir = temporaryDirectory();
    const clock = clockAt(1_000_000);
    const core = openCore(dataDir, { outcomeMs: 1000 }, clock);
    const perWrite = 600;
    const names = Array.from({ length: perWrite }, (_, n) => n);
    for (let round = 1; round <= 12; round += 1) {
      clock.nowMs += 500;
      const calls = names.map((n) => callEntry(c1, 0, okCall(`${round}-${n}`, 1, clock.nowMs)));
      const clients = names.map((n): JournalEntry => {
        const kept = [{ n: 2, outcome: ok(n), atMs: clock.nowMs }];
        return trailEntry(c1, 0, { numbered: [{ client: `client-${round}-${n}`, ack: 1, calls: kept }] });
      });
      const patches = names
        .slice(0, 100)
        .map((n) =>
          trailEntry(address(`${round}-${n}`), 1, { patches: 'own' }, stateEntry(address(`${round}-${n}`), 1, {})),
        );
      give(core, round, [...calls, ...clients, ...patches]);
      core.flush();
    }
    core.close();
    const counts = ['calls', 'numbered', 'acks'].map((table) => query(dataDir, `SELECT type FROM ${table}`).length);
    // Two writes a second are young enough to stay.
    for (const count of counts) expect(count).toBeLessThanOrEqual(4 * perWrite);
    expect(query(dataDir, 'SELECT type FROM history').length).toBeLessThanOrEqual(400);
  });
});

describe('numbered calls', () => {
  it('are forgotten up to the ack with the write, and known above it', () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir, {}, clockAt(1000));
    give(core, 1, [numbered(0, call(1), call(2), call(3))]);
    core.flush();
    expect(core.numbered(c1, client)).toEqual({ ack: 0, calls: [call(1), call(2), call(3)] });
    give(core, 2, [numbered(2, call(4))]);
    for (const flushed of [false, true]) {
      if (flushed) core.flush();
      expect(core.numbered(c1, client)).toEqual({ ack: 2, calls: [call(3), call(4)] });
    }
    expect(query(dataDir, 'SELECT n FROM numbered')).toEqual([{ n: 3 }, { n: 4 }]);
    expect(core.numbered(c1, 'somebody-else')).toBeUndefined();
    expect(core.load(c1)).toMatchObject({ seq: 0, hasNumbered: true, hasOutcomes: false });
  });

  it('go with their ack when their time is over, and the ack lives as long as calls go on', () => {
    const dataDir = temporaryDirectory();
    const clock = clockAt(10_000);
    const core = openCore(dataDir, { outcomeMs: 1000 }, clock);
    give(core, 1, [numbered(1, call(3, 10_000))]);
    core.flush();
    clock.nowMs += 900;
    give(core, 2, [numbered(1, call(4, 10_900))]);
    core.flush();
    clock.nowMs += 200;
    expect(core.numbered(c1, client)).toEqual({ ack: 1, calls: [call(4, 10_900)] });
    give(core, 3, [stateEntry(c1, 1, 1)]);
    core.flush();
    expect(query(dataDir, 'SELECT n FROM numbered')).toEqual([{ n: 4 }]);
    clock.nowMs += 1000;
    give(core, 4, [stateEntry(c1, 2, 2)]);
    core.flush();
    expect(core.numbered(c1, client)).toBeUndefined();
    expect(core.load(c1)).toMatchObject({ hasNumbered: false });
    expect(query(dataDir, 'SELECT * FROM acks')).toEqual([]);
  });
});

describe('visitors', () => {
  it('are who came and did not leave, in the order in which it happened', () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir);
    give(core, 1, [visits('in a', 'in b', 'out a', 'in a', 'out b')]);
    expect(core.load(c1)).toMatchObject({ visitors: [visitorOf('a')], visitSeq: 5 });
    core.flush();
    give(core, 2, [visits.after(5, 'in c', 'out a')]);
    for (const each of [core, reopened(core, dataDir)])
      expect(each.load(c1)).toMatchObject({ seq: 0, visitors: [visitorOf('c')], visitSeq: 7 });
  });
});

describe('history', () => {
  it('keeps as many events as it says, one chunk per write, and counts on when none are left', () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir, { historyBytesMax: 100 });
    for (let n = 1; n <= 10; n += 1) {
      give(core, n, [events(3, [n, 'e'])]);
      core.flush();
    }
    expect(core.history(c1, 'event', -1)?.map(({ seq }) => seq)).toEqual([8, 9, 10]);
    expect(core.history(c1, 'event', 8)?.map(({ seq }) => seq)).toEqual([9, 10]);
    expect(core.history(c1, 'event', 6)).toBeUndefined();
    expect(query(dataDir, 'SELECT last_seq FROM history')).toHaveLength(3);
    give(core, 11, [events(3, [11, 'x'.repeat(200)])]);
    core.flush();
    expect(query(dataDir, 'SELECT * FROM history')).toEqual([]);
    const again = reopened(core, dataDir);
    expect(again.load(c1)).toMatchObject({ eventSeq: 11 });
    expect(again.history(c1, 'event', -1)).toEqual([]);
    expect(again.history(c1, 'event', 11)).toEqual([]);
    expect(again.history(c1, 'event', 10)).toBeUndefined();
  });

  it('takes what became too much in one interval out before anybody asks', () => {
    const core = openCore(temporaryDirectory());
    give(core, 1, [events(2, [1, 'a'], [2, 'b'], [3, 'c'])]);
    expect(core.history(c1, 'event', -1)?.map(({ seq }) => seq)).toEqual([2, 3]);
  });

  it('resumes patches from the file and from what is pending, while nothing is missing up to the state', () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir);
    give(core, 1, [stateEntry(c1, 1, [])]);
    give(core, 2, [push(2), push(3)]);
    core.flush();
    give(core, 3, [push(4)]);
    // Put together for a load, which must not cost the patches.
    expect(core.load(c1)).toMatchObject({ seq: 4, patchSeq: 4 });
    expect(core.history(c1, 'state', 1)?.map(({ seq, text }) => [seq, text])).toEqual(
      [2, 3, 4].map((n) => [n, patch(n)]),
    );
    expect(core.history(c1, 'state', 0)).toBeUndefined();
    expect(core.history(c1, 'state', 4)).toEqual([]);
    give(core, 4, [patchEntry(c1, 5, JSON.parse(patch(5)) as unknown[])]);
    expect(core.load(c1)).toMatchObject({ seq: 5, patchSeq: 4 });
    expect(core.history(c1, 'state', 3)).toBeUndefined();
    expect(core.history(c1, 'state', 5)).toEqual([]);
    give(core, 5, [push(6)]);
    core.flush();
    expect(core.history(c1, 'state', 5)).toHaveLength(1);
    expect(core.history(c1, 'state', 4)).toBeUndefined();
    expect(query(dataDir, 'SELECT first_seq, last_seq FROM history')).toEqual([{ first_seq: 6, last_seq: 6 }]);
  });

  it('lets patches go that nobody came back for in a day, and never events', () => {
    const dataDir = temporaryDirectory();
    const clock = clockAt(0);
    const core = openCore(dataDir, { outcomeMs: 1000 }, clock);
    give(core, 1, [stateEntry(c1, 1, []), push(2), events(3, [1, 'e'])]);
    core.flush();
    clock.nowMs = 1001;
    give(core, 2, [stateEntry(address('c2'), 1, 1)]);
    core.flush();
    expect(core.history(c1, 'state', 1)).toBeUndefined();
    expect(core.history(c1, 'event', 0)).toHaveLength(1);
  });
});

describe('the epoch', () => {
  it('is the run that made the file, before it was made and ever after', () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir, {}, undefined, 'boot-1');
    expect(core.load(c1).epoch).toBe('boot-1');
    give(core, 1, [stateEntry(c1, 1, 1)]);
    core.flush();
    expect(core.load(c1).epoch).toBe('boot-1');
    const later = reopened(core, dataDir, 'boot-2');
    expect(later.load(c1).epoch).toBe('boot-1');
    expect(later.load(address('c1', 'other')).epoch).toBe('boot-2');
  });
});

describe('trails of what cannot be written', () => {
  it('lie spilled while the file fails, and come back whole after a restart', () => {
    const dataDir = temporaryDirectory();
    const clock = steppedClock();
    const core = openCore(dataDir, {}, clock);
    give(core, 1, [stateEntry(c1, 1, [])]);
    core.flush();
    write(dataDir, "CREATE TRIGGER no BEFORE INSERT ON places BEGIN SELECT RAISE(ABORT, 'input/output error'); END");
    give(core, 2, [push(2), numbered(1, call(2, Date.now())), visits('in a'), events(3, [1, 'e'])]);
    // So that nothing of the entries is left as it came.
    core.load(c1);
    core.flush();
    clock.passS(5);
    core.flush();
    expect(core.synced(0)).toBe(2);
    core.close();
    write(dataDir, 'DROP TRIGGER no');
    const again = openCore(dataDir);
    recover(dataDir, again, 1, silentLog);
    expect(again.load(c1)).toMatchObject({
      seq: 2,
      state: '[2]',
      visitors: [visitorOf('a')],
      patchSeq: 2,
      eventSeq: 1,
    });
    expect(again.history(c1, 'state', 1)).toEqual([{ seq: 2, text: patch(2) }]);
    expect(again.history(c1, 'event', 0)).toEqual([{ seq: 1, text: '"e"' }]);
    expect(again.numbered(c1, client)).toMatchObject({ ack: 1, calls: [{ n: 2 }] });
  });

  it('are held with the other entries of an actor that is closed off', () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir);
    give(core, 1, [patchEntry(c1, 7, [{ op: 'add', path: '/x', value: 1 }])]);
    expect(codeOf(() => core.load(c1))).toBe('QUARANTINED');
    give(core, 2, [visits('in a')]);
    core.flush();
    const db = new Database(join(dataDir, 'quarantine/held-entries.db'), { readonly: true });
    const entries = db.prepare('SELECT entry FROM held').pluck().all() as string[];
    db.close();
    expect(entries.join()).toContain('"session of a"');
  });
});

function numbered(ack: number, ...calls: NumberedCall[]): JournalEntry {
  return trailEntry(c1, 0, { numbered: [{ client, ack, calls }] });
}

function call(n: number, atMs = 1000): NumberedCall {
  return { n, outcome: ok({ n }), atMs };
}

function visits(...words: string[]): JournalEntry {
  return visits.after(0, ...words);
}

visits.after = (before: number, ...words: string[]): JournalEntry => {
  const made = words.map((word, at) => {
    const [kind, clientId] = word.split(' ') as ['in' | 'out', string];
    const n = before + at + 1;
    return kind === 'in' ? { kind, n, visitor: visitorOf(clientId) } : { kind, n, clientId };
  });
  return trailEntry(c1, 0, { visits: made });
};

function events(eventsMax: number, ...items: [seq: number, payload: string][]): JournalEntry {
  return trailEntry(c1, 0, { events: items.map(([seq, text]) => ({ seq, text: JSON.stringify(text) })), eventsMax });
}

function push(seq: number): JournalEntry {
  return trailEntry(c1, seq, { patches: 'own' }, patchEntry(c1, seq, JSON.parse(patch(seq)) as unknown[]));
}

function patch(seq: number): string {
  return JSON.stringify([{ op: 'add', path: '/-', value: seq }]);
}

function give(core: KeeperCore, journalSeq: number, entries: readonly JournalEntry[]): void {
  core.committed(0, { journalSeq, body: encodeEntries(entries) });
}

function reopened(core: KeeperCore, dataDir: string, boot?: string): KeeperCore {
  core.close();
  return openCore(dataDir, {}, undefined, boot);
}

function query(dataDir: string, sql: string): unknown[] {
  const db = new Database(join(dataDir, 'tenants/acme/tenant.db'), { readonly: true });
  try {
    return db.prepare(sql).all();
  } finally {
    db.close();
  }
}

function write(dataDir: string, sql: string): void {
  new Database(join(dataDir, 'tenants/acme/tenant.db')).exec(sql).close();
}
