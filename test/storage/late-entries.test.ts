import { describe, expect, it } from 'vitest';
import type { JournalEntry } from '../../src/storage/contract.ts';
import { encodeEntries } from '../../src/storage/entry.ts';
import type { KeeperCore } from '../../src/storage/keeper.ts';
import {
  address,
  callEntry,
  clockAt,
  okCall,
  openCore,
  patchEntry,
  stateEntry,
  temporaryDirectory,
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
