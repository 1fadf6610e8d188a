/** What nodes make of a picture of the bucket. No NATS: the picture is the test's. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { conflictsOf, type Picture, shareOut, stepsOf } from '../../src/cluster/slot-claims.ts';
import type { NodeRecord, SlotRecord } from '../../src/cluster/slot-records.ts';
import type { Seen } from '../../src/cluster/slot-view.ts';
import { slots } from '../../src/transport/nats-names.ts';
import { nodeRecord } from './fixtures.ts';

const self = 'nodeself1';
const other = 'nodeother';
const leaseMs = 1500;
const graceMs = 60_000;

function seen<R>(record: R, revision = 7): Seen<R> {
  return { revision, record, deleted: false, changedAtMs: 0 };
}

interface Scene {
  nodes?: Record<string, Partial<NodeRecord>>;
  silent?: Record<string, number>;
  slots?: Record<number, Partial<SlotRecord>>;
  part?: Partial<Picture>;
}

function picture({ nodes = {}, silent = {}, slots: records = {}, part = {} }: Scene): Picture {
  return {
    self,
    nodes: new Map(Object.entries({ [self]: {}, ...nodes }).map(([id, record]) => [id, seen(nodeRecord(record))])),
    slots: new Map(
      Object.entries(records).map(([slot, record]) => [
        Number(slot),
        seen({ owner: other, epoch: 5, hasData: false, ...record }),
      ]),
    ),
    silentMs: (id) => silent[id] ?? 0,
    owned: new Map(),
    data: new Set(),
    slotGraceMs: graceMs,
    mayShareOut: true,
    mayClaimLost: true,
    nowMs: Date.now(),
    ...part,
  };
}

/** All slots but the first belong to somebody who is there, so that a test looks at one. */
const taken = Object.fromEntries(Array.from({ length: slots - 1 }, (_, at) => [at + 1, { owner: self, epoch: 1 }]));
const ownedRest = new Map(Array.from({ length: slots - 1 }, (_, at) => [at + 1, 1]));

function stepsOfFirst(first: Partial<SlotRecord> | undefined, { part = {}, ...scene }: Scene = {}): unknown[] {
  const records = first === undefined ? taken : { ...taken, 0: first };
  return stepsOf(picture({ ...scene, slots: records, part: { owned: ownedRest, ...part } })).map((step) => {
    const { kind } = step;
    return { kind, ...(kind === 'claim' ? { epoch: step.record.epoch, depose: step.depose?.id } : {}) };
  });
}

describe('a slot of another node', () => {
  const up = { [other]: {} };
  const past = { [other]: leaseMs * 1.5 + graceMs + 1 };
  const claimed = { kind: 'claim', epoch: 6, depose: other };

  test('is left alone while its owner renews, and while it is away for less than lease and grace', () => {
    expect(stepsOfFirst({}, { nodes: up })).toEqual([]);
    expect(stepsOfFirst({}, { nodes: up, silent: { [other]: leaseMs * 1.5 + graceMs } })).toEqual([]);
  });

  test('is claimed when its owner was silent for longer, who is deposed first', () => {
    expect(stepsOfFirst({}, { nodes: up, silent: past })).toEqual([claimed]);
  });

  test('stays its own for ever when it has data', () => {
    const silent = { [other]: Number.MAX_SAFE_INTEGER };
    expect(stepsOfFirst({ hasData: true }, { nodes: up, silent })).toEqual([]);
    expect(stepsOfFirst({ hasData: true }, { nodes: { [other]: { state: 'deposed' } }, silent })).toEqual([]);
    expect(stepsOfFirst({ hasData: true }, { nodes: { [other]: { state: 'stopped' } }, silent })).toEqual([]);
    expect(stepsOfFirst({ hasData: true }, { silent })).toEqual([]);
  });

  test('of one that stopped is claimed after the grace', () => {
    const stopped = { [other]: { state: 'stopped' as const } };
    expect(stepsOfFirst({}, { nodes: stopped, silent: { [other]: graceMs } })).toEqual([]);
    expect(stepsOfFirst({}, { nodes: stopped, silent: { [other]: graceMs + 1 } })).toEqual([claimed]);
  });

  test('of one that was deposed, or that nobody knows, is claimed at once', () => {
    const step = { ...claimed, depose: undefined };
    expect(stepsOfFirst({}, { nodes: { [other]: { state: 'deposed' } } })).toEqual([step]);
    expect(stepsOfFirst({}, {})).toEqual([step]);
  });

  test('is claimed by who has its data, when the owner has none', () => {
    expect(stepsOfFirst({}, { nodes: up, part: { data: new Set([0]) } })).toEqual([{ ...claimed, depose: undefined }]);
    expect(stepsOfFirst({ hasData: true }, { nodes: up, part: { data: new Set([0]) } })).toEqual([]);
  });

  test('with data on both sides is a conflict', () => {
    const records = { 0: { hasData: true }, 1: {}, 2: { owner: self, hasData: true } };
    expect(conflictsOf(picture({ slots: records, part: { data: new Set([0, 1, 2]) } }))).toEqual(new Map([[0, other]]));
  });

  test('is not touched when its record cannot be read', () => {
    const unreadable = { revision: 3, record: undefined, deleted: false, changedAtMs: 0 };
    const scene = picture({ slots: taken, part: { owned: ownedRest } });
    expect(stepsOf({ ...scene, slots: new Map([...scene.slots, [0, unreadable]]) })).toEqual([]);
  });
});

describe('a slot without an owner', () => {
  const data = new Set([0]);

  test('is claimed, but not before others had time to show themselves', () => {
    expect(stepsOfFirst(undefined)).toMatchObject([{ kind: 'claim', depose: undefined }]);
    expect(stepsOfFirst(undefined, { part: { mayShareOut: false } })).toEqual([]);
  });

  test('whose data lies here is claimed at once, even if others have fewer', () => {
    expect(stepsOfFirst(undefined, { nodes: { [other]: {} }, part: { data, mayShareOut: false } })).toHaveLength(1);
  });

  test('is left to its owner for a while after NATS has lost the records', () => {
    expect(stepsOfFirst(undefined, { part: { mayClaimLost: false } })).toEqual([]);
    expect(stepsOfFirst(undefined, { part: { mayClaimLost: false, data } })).toEqual([]);
  });
});

describe('an own slot', () => {
  const owned = new Map([...ownedRest, [0, 5]]);

  test('is lost when another stands in its record, or another epoch', () => {
    expect(stepsOfFirst({ owner: other }, { part: { owned } })).toEqual([{ kind: 'lose' }]);
    expect(stepsOfFirst({ owner: self, epoch: 6 }, { part: { owned } })).toEqual([{ kind: 'lose' }]);
    expect(stepsOfFirst({ owner: self, epoch: 5 }, { part: { owned } })).toEqual([]);
  });

  test('is written anew, under the same epoch, when NATS has lost its record', () => {
    const scene = picture({ slots: taken, part: { owned, data: new Set([0]), mayClaimLost: false } });
    expect(stepsOf(scene)).toEqual([
      { kind: 'restore', slot: 0, revision: 0, record: { owner: self, epoch: 5, hasData: true } },
    ]);
  });

  test('of an earlier run, or handed over, is taken under a higher epoch', () => {
    const steps = stepsOfFirst({ owner: self, epoch: 5, hasData: true }, { part: { mayShareOut: false } });
    expect(steps).toEqual([{ kind: 'claim', epoch: 6, depose: undefined }]);
  });
});

describe('sharing out', () => {
  test('gives every free slot to one node, evenly, and the same on every node', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat(slots - 1)),
        fc.dictionary(fc.stringMatching(/^[a-z0-9]{8}$/), fc.nat(slots), { minKeys: 1, maxKeys: 5 }),
        (free, loads) => {
          const entries = Object.entries(loads);
          const shares = shareOut(free, new Map(entries));
          expect([...shares.keys()]).toEqual(free);
          expect(shareOut(free, new Map(entries.toReversed()))).toEqual(shares);
          const ends = entries.map(([id, load]) => load + [...shares.values()].filter((to) => to === id).length);
          for (const [place, [id, load]] of entries.entries()) {
            // Who was given something has no more than one above anybody.
            if (ends[place]! > load) expect(ends[place]! - Math.min(...ends), id).toBeLessThanOrEqual(1);
          }
        },
      ),
    );
  });

  test('to nobody is no share', () => {
    expect(shareOut([1, 2], new Map()).size).toBe(0);
  });

  test('leaves no slot out and gives none twice, when all nodes see the same', () => {
    const ids = ['nodeaaaa', 'nodebbbb', 'nodecccc'];
    const nodes = Object.fromEntries(ids.map((id) => [id, {}]));
    const claims = ids.flatMap((id) => {
      const scene = picture({ nodes, part: { self: id } });
      return stepsOf({ ...scene, nodes: new Map([...scene.nodes].filter(([one]) => one !== self)) });
    });
    expect(claims.map(({ slot }) => slot).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: slots }, (_, n) => n),
    );
  });
});
