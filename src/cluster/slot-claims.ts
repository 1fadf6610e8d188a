/**
 * What a node has to do about the slots, given a picture of the bucket. Pure: whoever does it writes with the revisions of the
 * picture and is refused where it was out of date, which is how nodes with different pictures get along.
 *
 * Free slots are shared out by the same rule on every node: one by one to the live node that has the fewest, the first by name
 * among equals. A node claims only its own share.
 */
import { slots } from '../transport/nats-names.ts';
import { standingOf, type Watched } from './node-standing.ts';
import { nextEpoch, type NodeRecord, type SlotRecord } from './slot-records.ts';
import type { Seen } from './slot-view.ts';

export interface Picture extends Watched {
  readonly self: string;
  readonly slots: ReadonlyMap<number, Seen<SlotRecord>>;
  /** What this process has taken, with epochs. */
  readonly owned: ReadonlyMap<number, number>;
  /** Slots whose tenants lie in the data directory. */
  readonly data: ReadonlySet<number>;
  readonly slotGraceMs: number;
  /** False while others may not have shown themselves yet. Slots of one's own data are claimed all the same. */
  readonly mayShareOut: boolean;
  /** False while owners may be writing anew what NATS has lost. */
  readonly mayClaimLost: boolean;
  readonly nowMs: number;
}

export type Step =
  /** Another node has it now. */
  | { readonly kind: 'lose'; readonly slot: number }
  /** Its record is gone, with NATS's store. */
  | { readonly kind: 'restore'; readonly slot: number; readonly revision: number; readonly record: SlotRecord }
  | {
      readonly kind: 'claim';
      readonly slot: number;
      readonly revision: number;
      readonly record: SlotRecord;
      /** The owner so far, who must be kept from renewing its lease before. */
      readonly depose?: { readonly id: string; readonly revision: number; readonly record: NodeRecord };
    };

export function stepsOf(picture: Picture): Step[] {
  const steps: Step[] = [];
  const free: number[] = [];
  for (let slot = 0; slot < slots; slot += 1) {
    const seen = picture.slots.get(slot);
    const step = picture.owned.has(slot) ? keep(slot, picture) : claimOwn(slot, picture);
    if (step !== undefined) steps.push(step);
    else if (!picture.owned.has(slot) && isFree(seen, picture)) free.push(slot);
  }
  if (!picture.mayShareOut || !picture.mayClaimLost) return steps;
  for (const [slot, id] of shareOut(free, loadsOf(picture))) {
    if (id === picture.self) steps.push(claim(slot, picture, picture.data.has(slot)));
  }
  return steps;
}

/** Who should take which of the free slots. `loads`: how many each live node has. */
export function shareOut(free: readonly number[], loads: ReadonlyMap<string, number>): Map<number, string> {
  const nodes = [...loads].map(([id, load]) => ({ id, load })).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const shares = new Map<number, string>();
  for (const slot of free) {
    let least = nodes[0];
    for (const node of nodes) if (node.load < least!.load) least = node;
    if (least === undefined) break;
    least.load += 1;
    shares.set(slot, least.id);
  }
  return shares;
}

/** Slots with data here that another node owns with data of its own: nobody can tell which is right but people. */
export function conflictsOf({
  self,
  slots: seen,
  data,
}: Pick<Picture, 'self' | 'slots' | 'data'>): Map<number, string> {
  const conflicts = new Map<number, string>();
  for (const slot of data) {
    const record = seen.get(slot)?.record;
    if (record !== undefined && record.owner !== self && record.hasData) conflicts.set(slot, record.owner);
  }
  return conflicts;
}

function keep(slot: number, { self, slots: seen, owned, data, nowMs }: Picture): Step | undefined {
  const { record, deleted = true, revision = 0 } = seen.get(slot) ?? {};
  const epoch = owned.get(slot) ?? nextEpoch(0, nowMs);
  if (deleted) return { kind: 'restore', slot, revision, record: { owner: self, epoch, hasData: data.has(slot) } };
  return record?.owner === self && record.epoch === epoch ? undefined : { kind: 'lose', slot };
}

/** What needs no sharing out: it is this node's on record, or its data lies here and nobody else has any. */
function claimOwn(slot: number, picture: Picture): Step | undefined {
  const { self, data, mayClaimLost } = picture;
  const { record, deleted = true } = picture.slots.get(slot) ?? {};
  if (record?.owner === self) return claim(slot, picture, record.hasData || data.has(slot));
  if (!data.has(slot)) return undefined;
  if (deleted) return mayClaimLost ? claim(slot, picture, true) : undefined;
  return record?.hasData === false ? claim(slot, picture, true) : undefined;
}

function isFree(seen: Seen<SlotRecord> | undefined, picture: Picture): boolean {
  if (seen === undefined || seen.deleted) return true;
  // One that cannot be read was written by a version that knows more than this one.
  if (seen.record === undefined || seen.record.hasData) return false;
  return standingOf(seen.record.owner, picture, picture.slotGraceMs) === 'gone';
}

function claim(slot: number, { self, slots: seen, nodes, data, nowMs }: Picture, hasData: boolean): Step {
  const { record, revision = 0 } = seen.get(slot) ?? {};
  const step = {
    kind: 'claim',
    slot,
    revision,
    record: { owner: self, epoch: nextEpoch(record?.epoch ?? 0, nowMs), hasData },
  } as const;
  const owner = record === undefined || record.owner === self || data.has(slot) ? undefined : nodes.get(record.owner);
  if (record === undefined || owner?.record === undefined || owner.record.state === 'deposed') return step;
  return { ...step, depose: { id: record.owner, revision: owner.revision, record: owner.record } };
}

function loadsOf({ self, nodes, slots: seen, silentMs, slotGraceMs }: Picture): Map<string, number> {
  const loads = new Map([[self, 0]]);
  for (const [id, { record }] of nodes) {
    if (record?.state === 'up' && standingOf(id, { nodes, silentMs }, slotGraceMs) === 'live') loads.set(id, 0);
  }
  for (const { record } of seen.values()) {
    const load = record === undefined ? undefined : loads.get(record.owner);
    if (record !== undefined && load !== undefined) loads.set(record.owner, load + 1);
  }
  return loads;
}
