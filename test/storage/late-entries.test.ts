import Database from 'better-sqlite3';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { JournalEntry } from '../../src/storage/contract.ts';
import { encodeEntries } from '../../src/storage/entry.ts';
import type { KeeperCore } from '../../src/storage/keeper.ts';
import {
  address,
  callEntry,
  clockAt,
  ok,
  okCall,
  openCore,
  patchEntry,
  stateEntry,
  temporaryDirectory,
  trailEntry,
  visitorOf,
} from './fixtures.ts';

const c1 = address('c1');

describe('entries that a journal of a former shard count brings late', () => {
  const patch = (seq: number) => patchEntry(c1, seq, [{ op: 'replace', path: '/n', value: seq }]);

  it('never make a load older than the file', () => {
    const dataDir = temporaryDirectory();
    const core = withFile(dataDir, [stateEntry(c1, 10, { n: 10 })]);
    give(core, 1, [stateEntry(c1, 5, { n: 5 })], 7);
    expect(core.load(c1)).toMatchObject({ seq: 10, state: '{"n":10}' });
    give(core, 1, [patch(11)]);
    expect(core.load(c1)).toMatchObject({ seq: 11, state: '{"n":11}' });
    core.flush();
    expect(openCore(dataDir).load(c1)).toMatchObject({ seq: 11, state: '{"n":11}' });
  });

  it('and changes that follow the file are written together', () => {
    const dataDir = temporaryDirectory();
    const core = withFile(dataDir, [stateEntry(c1, 10, { n: 10 })]);
    give(core, 1, [stateEntry(c1, 5, { n: 5 }), patch(6)], 7);
    give(core, 1, [patch(11)]);
    core.flush();
    expect(openCore(dataDir).load(c1)).toMatchObject({ seq: 11, state: '{"n":11}' });
  });

  it('never push out what is newer and waits as well', () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir);
    give(core, 1, [stateEntry(c1, 20, { n: 20 }), patch(21)]);
    give(core, 1, [stateEntry(c1, 5, { n: 5 }), patch(6), stateEntry(c1, 7, { n: 7 })], 7);
    expect(core.load(c1)).toMatchObject({ seq: 21, state: '{"n":21}' });
  });

  it('never hide the outcome of a call whose key was used anew', () => {
    const dataDir = temporaryDirectory();
    const clock = clockAt(10_000);
    const old = callEntry(c1, 0, okCall('k', 'old', 1000));
    const core = withFile(dataDir, [callEntry(c1, 0, okCall('k', 'new', 9000))], clock);
    give(core, 1, [old], 7);
    expect(core.outcome(c1, 'k')).toMatchObject({ outcome: { result: '"new"' } });
    give(core, 1, [callEntry(c1, 0, okCall('j', 'new', 9000))]);
    give(core, 2, [callEntry(c1, 0, okCall('j', 'old', 1000))], 7);
    expect(core.outcome(c1, 'j')).toMatchObject({ outcome: { result: '"new"' } });
    core.flush();
    for (const key of ['k', 'j']) expect(core.outcome(c1, key)).toMatchObject({ outcome: { result: '"new"' } });
  });

  it('never bring a visitor back who has left since', () => {
    const dataDir = temporaryDirectory();
    const came = trailEntry(c1, 0, { visits: [{ kind: 'in', n: 1, visitor: visitorOf('a') }] });
    const left = trailEntry(c1, 0, { visits: [{ kind: 'out', n: 2, clientId: 'a' }] });
    const again = trailEntry(c1, 0, { visits: [{ kind: 'in', n: 3, visitor: visitorOf('a') }] });
    // Journal 0 is read before journal 7, which is the older one.
    const core = openCore(dataDir);
    give(core, 1, [left]);
    give(core, 1, [came], 7);
    expect(core.load(c1)).toMatchObject({ visitors: [], visitSeq: 2 });
    core.flush();
    expect(core.load(c1)).toMatchObject({ visitors: [], visitSeq: 2 });
    core.close();
    // Killed before journal 7 was removed: it comes again, and alone.
    const next = openCore(dataDir);
    give(next, 1, [came], 7);
    expect(next.load(c1)).toMatchObject({ visitors: [], visitSeq: 2 });
    next.flush();
    expect(next.load(c1)).toMatchObject({ visitors: [], visitSeq: 2 });
    give(next, 1, [again]);
    give(next, 2, [came, left], 7);
    expect(next.load(c1)).toMatchObject({ visitors: [visitorOf('a')], visitSeq: 3 });
  });

  it('never bring back a numbered call that its client has acknowledged since', () => {
    const dataDir = temporaryDirectory();
    const ended = (ack: number, ...numbers: number[]) => {
      const calls = numbers.map((n) => ({ n, outcome: ok(n), atMs: Date.now() }));
      return trailEntry(c1, 0, { numbered: [{ client: 'abcdefgh', ack, calls }] });
    };
    const core = openCore(dataDir);
    give(core, 1, [ended(3, 4)]);
    core.flush();
    give(core, 1, [ended(1, 2, 3)], 7);
    for (let round = 0; round < 2; round += 1) {
      expect(core.numbered(c1, 'abcdefgh')).toMatchObject({ ack: 3, calls: [{ n: 4 }] });
      core.flush();
    }
    const db = new Database(join(dataDir, 'tenants/acme/tenant.db'), { readonly: true });
    expect(db.prepare('SELECT n FROM numbered').pluck().all()).toEqual([4]);
    db.close();
  });

  it('never double or reorder what is kept of events and patches', () => {
    const dataDir = temporaryDirectory();
    const kept = (seq: number) =>
      trailEntry(c1, seq, { patches: 'own', events: [{ seq, text: `"${seq}"` }], eventsMax: 9 }, patch(seq));
    const core = openCore(dataDir);
    give(core, 1, [kept(3), kept(4)]);
    give(
      core,
      1,
      [stateEntry(c1, 1, { n: 1 }), trailEntry(c1, 1, { events: [{ seq: 1, text: '"1"' }], eventsMax: 2 })],
      7,
    );
    give(core, 2, [kept(2)], 7);
    for (let round = 0; round < 2; round += 1) {
      for (const stream of ['event', 'state'] as const)
        expect(
          core.history(c1, stream, 1)?.map(({ seq }) => seq),
          stream,
        ).toEqual([2, 3, 4]);
      expect(core.history(c1, 'event', 0)).toHaveLength(4);
      core.flush();
      give(core, 3, [kept(2), kept(3)], 7);
    }
  });

  function withFile(dataDir: string, entries: readonly JournalEntry[], clock = clockAt(10_000)): KeeperCore {
    const before = openCore(dataDir, {}, clock);
    give(before, 1, entries);
    before.close();
    return openCore(dataDir, { outcomeMs: 5000 }, clock);
  }
});

function give(core: KeeperCore, journalSeq: number, entries: readonly JournalEntry[], shard = 0): void {
  core.committed(shard, { journalSeq, body: encodeEntries(entries) });
}
