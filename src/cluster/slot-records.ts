/**
 * What stands in the bucket of slots, and how it is read: two kinds of records, each a small JSON object under its own key.
 * Other processes write them, so nothing is believed before it was checked.
 */
import { idPattern, slots } from '../transport/nats-names.ts';

/** Key `node.<id>`. */
export interface NodeRecord {
  /** Rises with each start. */
  readonly epoch: number;
  /** Id of the process that wrote it: two with the same data directory's id tell each other apart by it. */
  readonly boot: string;
  /** `deposed`: written by another node, after which this one's lease cannot be renewed. */
  readonly state: 'up' | 'stopped' | 'deposed';
  /** For how long it may commit after a renewal. */
  readonly leaseMs: number;
  /** Its wall clock at the time. For people. */
  readonly atMs: number;
}

/** Key `slot.<n>`. */
export interface SlotRecord {
  /** Id of a node. */
  readonly owner: string;
  /** Rises with each start of the owner and each change of owner. */
  readonly epoch: number;
  /** The owner's volume may hold tenants of the slot: nobody takes it without being told to. */
  readonly hasData: boolean;
}

export type Key = { readonly kind: 'node'; readonly id: string } | { readonly kind: 'slot'; readonly slot: number };

export function nodeKey(id: string): string {
  return `node.${id}`;
}

export function slotKey(slot: number): string {
  return `slot.${slot}`;
}

/** Undefined for what is none of the two. */
export function parseKey(key: string): Key | undefined {
  const [kind = '', name = '', ...rest] = key.split('.');
  if (rest.length > 0) return undefined;
  if (kind === 'node' && idPattern.test(name)) return { kind, id: name };
  if (kind === 'slot' && /^(0|[1-9]\d?)$/.test(name) && Number(name) < slots) return { kind, slot: Number(name) };
  return undefined;
}

/** Undefined for what is no record. */
export function parseNode(text: string): NodeRecord | undefined {
  const { epoch, boot, state, leaseMs, atMs } = fieldsOf(text);
  if (!isCount(epoch) || !isId(boot) || !isCount(leaseMs) || !isCount(atMs)) return undefined;
  if (leaseMs < 1 || leaseMs > leaseMsMax) return undefined;
  if (state !== 'up' && state !== 'stopped' && state !== 'deposed') return undefined;
  return { epoch, boot, state, leaseMs, atMs };
}

/** Undefined for what is no record. */
export function parseSlot(text: string): SlotRecord | undefined {
  const { owner, epoch, hasData } = fieldsOf(text);
  if (!isId(owner) || !isCount(epoch) || typeof hasData !== 'boolean') return undefined;
  return { owner, epoch, hasData };
}

/**
 * Above every epoch that was ever given. One without a predecessor begins with the clock: when NATS has lost its store,
 * gateways and runtimes that go on remember epochs that no record tells of any more.
 */
export function nextEpoch(formerEpoch: number, nowMs: number): number {
  return formerEpoch > 0 ? formerEpoch + 1 : Math.max(1, Math.floor((nowMs - epochsBeganMs) / 1000));
}

const epochsBeganMs = Date.UTC(2026, 0, 1);
/** No lease of ours is longer; a record that says so is none. */
const leaseMsMax = 3_600_000;

function fieldsOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && idPattern.test(value);
}
