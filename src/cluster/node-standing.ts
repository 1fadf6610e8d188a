/**
 * What a node's record says of the node, for one who watches it: is it there, and may its slots be taken?
 *
 * Its lease is over at the latest when its record was watched for `leaseMs` without a change. Half of it more is for clocks
 * that do not run alike.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { NodeRecord } from './slot-records.ts';
import type { Seen } from './slot-view.ts';

export type Standing =
  /** It holds its lease, as far as one can see. */
  | 'live'
  /** It cannot commit any more; it may come back. */
  | 'away'
  /** Away for so long that what it has no data of is free. */
  | 'gone';

export interface Watched {
  readonly nodes: ReadonlyMap<string, Seen<NodeRecord>>;
  /** For how long a node's record was watched without a change. */
  silentMs(id: string): number;
}

export function standingOf(id: string, { nodes, silentMs }: Watched, slotGraceMs: number): Standing {
  const seen = nodes.get(id);
  if (seen === undefined || seen.deleted || seen.record?.state === 'deposed') return 'gone';
  // A record that cannot be read was written by a version that knows more than this one.
  if (seen.record === undefined) return 'live';
  const silent = silentMs(id);
  const leftMs = seen.record.state === 'stopped' ? 0 : seen.record.leaseMs * 1.5;
  if (silent > leftMs + slotGraceMs) return 'gone';
  return silent > leftMs || seen.record.state === 'stopped' ? 'away' : 'live';
}

const lookMs = 100;

/**
 * The same, once it is clear: a record whose renewal is overdue is watched until it is renewed, or its lease is over. A node
 * that is there lets no half of its lease pass.
 */
export async function clearStanding(id: string, look: () => Watched): Promise<Standing> {
  for (let watchedMs = 0; ; watchedMs += lookMs) {
    const watched = look();
    const standing = standingOf(id, watched, 0);
    const leaseMs = watched.nodes.get(id)?.record?.leaseMs ?? 0;
    // Its silence does not count while this node itself sees nothing of others.
    const isOver = watchedMs > leaseMs * 2;
    if (standing !== 'live' || watched.silentMs(id) < leaseMs / 2 || isOver) return standing;
    await delay(lookMs);
  }
}
