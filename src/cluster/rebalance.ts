/**
 * The plan that makes live nodes own equally many slots, with as few moves as that takes. Only a plan: a move costs time, and a
 * person decides when. Slots without data are moved first, because nothing has to be shipped.
 */
export interface OwnedSlot {
  readonly slot: number;
  readonly owner: string;
  readonly hasData: boolean;
}

export interface RebalanceNode {
  readonly id: string;
  /** Any measure of how busy it is, the same on all; the less busy of two takes the odd slot. */
  readonly load: number;
}

export interface Move {
  readonly slot: number;
  readonly from: string;
  readonly to: string;
  readonly hasData: boolean;
}

/** Slots of nodes that are not in the list stay where they are. */
export function planRebalance(owned: readonly OwnedSlot[], nodes: readonly RebalanceNode[]): Move[] {
  const holdings = new Map(nodes.map(({ id, load }) => [id, { id, load, slots: [] as OwnedSlot[] }]));
  for (const slot of owned) holdings.get(slot.owner)?.slots.push(slot);
  const sorted = [...holdings.values()].toSorted(
    (a, b) => b.slots.length - a.slots.length || a.load - b.load || (a.id < b.id ? -1 : 1),
  );
  const total = sorted.reduce((sum, { slots }) => sum + slots.length, 0);
  const least = Math.floor(total / sorted.length);
  const odd = total % sorted.length;
  // Whoever has the most keeps an odd one: that spares a move.
  const targets = sorted.map(({ slots, ...node }, place) => ({
    ...node,
    slots,
    target: least + (place < odd ? 1 : 0),
  }));
  const moving = targets.flatMap(({ slots, target }) =>
    slots.toSorted(cheapestFirst).slice(0, Math.max(0, slots.length - target)),
  );
  const surplus = moving.toSorted(cheapestFirst);
  const moves: Move[] = [];
  for (const { id, slots, target } of targets.toSorted((a, b) => a.load - b.load || (a.id < b.id ? -1 : 1))) {
    for (let missing = target - slots.length; missing > 0; missing -= 1) {
      const { slot, owner, hasData } = surplus.shift()!;
      moves.push({ slot, from: owner, to: id, hasData });
    }
  }
  return moves;
}

function cheapestFirst(a: OwnedSlot, b: OwnedSlot): number {
  return Number(a.hasData) - Number(b.hasData) || a.slot - b.slot;
}
