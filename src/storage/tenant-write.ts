/**
 * From what is pending of a tenant to what one transaction writes: each actor once, with its newest state.
 *
 * Computes and changes nothing but the batch's list of closed actors: those whose stored row or patches fail are added,
 * so that the same transaction closes them off and a repeated one finds them closed. What belongs to closed actors
 * comes back as entries to hold.
 */
import { PatchError } from '../protocol/json-patch.ts';
import { coalesce } from './coalesce.ts';
import { decodeCall } from './entry.ts';
import type { PendingActor, PendingTenant } from './pending.ts';
import {
  type ActorWrite,
  type CallWrite,
  type ClosedActor,
  DamagedActorError,
  type TenantFile,
  type TenantWrite,
} from './tenant-file.ts';

export interface PreparedWrite {
  readonly write: TenantWrite;
  /** Entries of closed actors; must be safe before `write` is. */
  readonly held: readonly string[];
  /** Closed for the first time. */
  readonly newlyClosed: readonly ClosedActor[];
}

export function prepareWrite(batch: PendingTenant, file: TenantFile, atMs: number, outcomeMs: number): PreparedWrite {
  const actors: ActorWrite[] = [];
  const calls: CallWrite[] = [];
  const held = [...batch.damaged];
  const newlyClosed: ClosedActor[] = [];
  for (const [key, actor] of batch.actors) {
    const { type, id } = actor;
    let isClosed = batch.closed.has(key) || file.closedReason(type, id) !== undefined;
    if (!isClosed && actor.changes.length > 0) {
      const made = newState(actor, file);
      if (typeof made === 'string') {
        isClosed = true;
        batch.closed.set(key, { type, id, reason: made });
        newlyClosed.push({ type, id, reason: made });
      } else if (made !== undefined) actors.push(made);
    }
    if (isClosed) held.push(...actor.toEntries(batch.tenant));
    else for (const call of actor.calls) calls.push({ type, id, ...decodeCall(call) });
  }
  const write = { actors, calls, closed: [...batch.closed.values()], atMs, purgeBeforeMs: atMs - outcomeMs };
  return { write, held, newlyClosed };
}

/** All entries of a tenant that is closed off as a whole. */
export function entriesOf(batch: PendingTenant): string[] {
  return [...batch.damaged, ...[...batch.actors.values()].flatMap((actor) => actor.toEntries(batch.tenant))];
}

/** The newest state, or why there can be none. */
function newState({ type, id, changes }: PendingActor, file: TenantFile): ActorWrite | string | undefined {
  try {
    // One whole state needs no base: the file itself refuses one that is older. Anything else does, also when a whole
    // state comes first, because that may be older than the file while the patches after it are newer.
    const isWhole = changes.length === 1 && changes[0]?.kind === 'state';
    const state = coalesce(isWhole ? undefined : file.readActor(type, id), changes);
    return state === undefined ? undefined : { type, id, ...state };
  } catch (error) {
    if (error instanceof DamagedActorError || error instanceof PatchError) return error.message;
    throw error;
  }
}
