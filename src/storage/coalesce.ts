/**
 * Many changes of one actor made into one state, for the keeper (before it writes) and for inspection.
 *
 * Changes may come twice and out of order, because journals are replayed; numbers tell. What must hold is that patches
 * follow their base without a gap and in one version of the state's shape. Otherwise two histories were mixed up.
 */
import { applyPatches, type JsonPatchOp, PatchError } from '../protocol/json-patch.ts';

export interface ActorState {
  readonly seq: number;
  readonly version: number;
  /** JSON text. */
  readonly state: string;
}

export interface PendingChange {
  readonly seq: number;
  readonly version: number;
  readonly kind: 'state' | 'patches';
  readonly text: string;
}

/** The newest state; the base itself when no change is newer. @throws PatchError when the patches do not fit */
export function coalesce(base: ActorState | undefined, changes: readonly PendingChange[]): ActorState | undefined {
  const ordered = inOrder(changes);
  const full = ordered.findLast((change) => change.kind === 'state');
  const start =
    full !== undefined && full.seq > (base?.seq ?? 0)
      ? { seq: full.seq, version: full.version, state: full.text }
      : base;
  const patches: JsonPatchOp[] = [];
  let seq = start?.seq ?? 0;
  for (const change of ordered) {
    if (change.seq <= seq) continue;
    if (change.seq !== seq + 1) throw new PatchError(`change ${seq + 1} is missing before ${change.seq}`);
    if (change.version !== start?.version)
      throw new PatchError(
        `change ${change.seq} is of version ${change.version}, its base of ${start?.version ?? 'none'}`,
      );
    for (const patch of JSON.parse(change.text) as JsonPatchOp[]) patches.push(patch);
    seq = change.seq;
  }
  if (start === undefined || patches.length === 0) return start === undefined ? undefined : { ...start, seq };
  return {
    seq,
    version: start.version,
    state: JSON.stringify(applyPatches(JSON.parse(start.state) as unknown, patches)),
  };
}

function inOrder(changes: readonly PendingChange[]): readonly PendingChange[] {
  for (let at = 1; at < changes.length; at += 1) {
    if (changes[at]!.seq <= changes[at - 1]!.seq) return [...changes].sort((a, b) => a.seq - b.seq);
  }
  return changes;
}
