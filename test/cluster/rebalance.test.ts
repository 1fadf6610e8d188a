import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type OwnedSlot, planRebalance } from '../../src/cluster/rebalance.ts';

const nodes = [
  { id: 'nodeaaaa', load: 0 },
  { id: 'nodebbbb', load: 0 },
];

function ownedBy(owner: string, slots: readonly number[], hasData = false): OwnedSlot[] {
  return slots.map((slot) => ({ slot, owner, hasData }));
}

describe('a plan', () => {
  test('gives a newcomer half, those without data first', () => {
    const owned = [...ownedBy('nodeaaaa', [0, 1], true), ...ownedBy('nodeaaaa', [2, 3])];
    expect(planRebalance(owned, nodes)).toEqual([
      { slot: 2, from: 'nodeaaaa', to: 'nodebbbb', hasData: false },
      { slot: 3, from: 'nodeaaaa', to: 'nodebbbb', hasData: false },
    ]);
  });

  test('is empty when a move would only swap who has one more', () => {
    expect(planRebalance([...ownedBy('nodeaaaa', [0, 1]), ...ownedBy('nodebbbb', [2])], nodes)).toEqual([]);
    expect(planRebalance([], nodes)).toEqual([]);
    expect(planRebalance(ownedBy('nodeaaaa', [0]), [])).toEqual([]);
  });

  test('gives the odd slot to the less busy of those that have none', () => {
    const three = [
      { id: 'nodeaaaa', load: 0 },
      { id: 'nodebbbb', load: 9 },
      { id: 'nodecccc', load: 1 },
    ];
    const moves = planRebalance(ownedBy('nodeaaaa', [0, 1, 2, 3, 4]), three);
    expect(moves.map(({ to }) => to).toSorted()).toEqual(['nodebbbb', 'nodecccc', 'nodecccc']);
  });
});

test('any plan ends even within one, with the least number of moves, and moves data only when nothing else is left', () => {
  const ids = ['nodeaaaa', 'nodebbbb', 'nodecccc', 'nodedddd', 'nodegone'];
  fc.assert(
    fc.property(
      fc.array(fc.record({ owner: fc.constantFrom(...ids), hasData: fc.boolean() }), { maxLength: 64 }),
      fc.subarray(ids.slice(0, 4), { minLength: 1 }),
      fc.array(fc.nat(9), { minLength: 4, maxLength: 4 }),
      (records, present, loads) => {
        const owned = records.map((record, slot) => ({ slot, ...record }));
        const live = present.map((id, place) => ({ id, load: loads[place]! }));
        const moves = planRebalance(owned, live);
        const owner = new Map(owned.map((slot) => [slot.slot, slot.owner]));
        for (const move of moves) {
          expect(owner.get(move.slot)).toBe(move.from);
          expect(present).toContain(move.from);
          owner.set(move.slot, move.to);
        }
        expect(new Set(moves.map(({ slot }) => slot)).size).toBe(moves.length);
        const counts = (of: readonly string[]) => present.map((id) => of.filter((one) => one === id).length);
        const before = counts(owned.map((slot) => slot.owner));
        const after = counts([...owner.values()]);
        expect(Math.max(...after) - Math.min(...after)).toBeLessThanOrEqual(1);
        // Every move takes from one that had too many, so none can be spared.
        const needed = after.reduce((sum, count, place) => sum + Math.max(0, before[place]! - count), 0);
        expect(moves).toHaveLength(needed);
        expect(needed).toBe(leastMoves(before));
        for (const { from, hasData } of moves) {
          const left = owned.filter((slot) => slot.owner === from && owner.get(slot.slot) === from);
          if (hasData) expect(left.every((slot) => slot.hasData)).toBe(true);
        }
      },
    ),
  );
});

/** By trying every way to give out the odd ones. */
function leastMoves(counts: readonly number[]): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const least = Math.floor(total / counts.length);
  const odd = total % counts.length;
  let best = Number.POSITIVE_INFINITY;
  for (let bits = 0; bits < 2 ** counts.length; bits += 1) {
    const extra = counts.map((_, place) => (bits >> place) & 1);
    if (extra.reduce((sum, one) => sum + one, 0) !== odd) continue;
    const moves = counts.reduce((sum, count, place) => sum + Math.max(0, count - least - extra[place]!), 0);
    best = Math.min(best, moves);
  }
  return best;
}
