/**
 * From what is pending of a tenant to what one transaction writes: each actor once, with its newest state and what
 * it leaves beside it.
 *
 * Computes and changes nothing but the batch's list of closed actors: those whose stored row or patches fail are added,
 * so that the same transaction closes them off and a repeated one finds them closed. What belongs to closed actors
 * comes back as entries to hold.
 */
import { PatchError } from '../protocol/json-patch.ts';
import type { Limits } from '../protocol/limits.ts';
import type { ActorWrite } from './actor-table.ts';
import type { CallWrite } from './call-table.ts';
import type { ClosedActor } from './closed-table.ts';
import { coalesce } from './coalesce.ts';
import { DamagedActorError } from './damaged-actor.ts';
import { decodeCall } from './entry.ts';
import type { PendingActor, PendingTenant } from './pending.ts';
import type { TenantFile, TenantWrite } from './tenant-file.ts';
import { prepareTrail, type TrailWrite } from './trail-write.ts';

export interface PreparedWrite {
  readonly write: TenantWrite;
  /** Entries of closed actors; must be safe before `write` is. */
  readonly held: readonly string[];
  /** Closed for the first time. */
  readonly newlyClosed: readonly ClosedActor[];
}

export function prepareWrite(batch: PendingTenant, file: TenantFile, atMs: number, limits: Limits): PreparedWrite {
  const actors: ActorWrite[] = [];
  const calls: CallWrite[] = [];
  const trails: TrailWrite[] = [];
  const held = [...batch.damaged];
  const newlyClosed: ClosedActor[] = [];
  for (const [key, actor] of batch.actors) {
    const { type, id } = actor;
    let isClosed = batch.closed.has(key) || file.closed.reason(type, id) !== undefined;
    if (!isClosed) {
      const made = prepareActor(actor, file, limits);
      if (typeof made === 'string') {
        isClosed = true;
        batch.closed.set(key, { type, id, reason: made });
        newlyClosed.push({ type, id, reason: made });
      } else {
        if (made.state !== undefined) actors.push(made.state);
        if (made.trail !== undefined) trails.push(made.trail);
      }
    }
    if (isClosed) held.push(...actor.toEntries(batch.tenant));
    else for (const call of actor.calls) calls.push({ type, id, ...decodeCall(call) });
  }
  const write = {
    actors,
    calls,
    trails,
    closed: [...batch.closed.values()],
    atMs,
    purgeBeforeMs: atMs - limits.outcomeMs,
    sessionsBeforeMs: atMs - limits.sessionRecordMs,
  };
  return { write, held, newlyClosed };
}

/** All entries of a tenant that is closed off as a whole. */
export function entriesOf(batch: PendingTenant): string[] {
  return [...batch.damaged, ...[...batch.actors.values()].flatMap((actor) => actor.toEntries(batch.tenant))];
}

interface PreparedActor {
  readonly state: ActorWrite | undefined;
  readonly trail: TrailWrite | undefined;
}

/** The newest state and what there is beside it, or why there can be none. */
function prepareActor(actor: PendingActor, file: TenantFile, limits: Limits): PreparedActor | string {
  try {
    const { type, id, trail } = actor;
    return {
      state: actor.changes.length === 0 ? undefined : newState(actor, file),
      trail: trail === undefined ? undefined : prepareTrail(actor, trail, file.places.read(type, id), limits),
    };
  } catch (error) {
    if (error instanceof DamagedActorError || error instanceof PatchError) return error.message;
    throw error;
  }
}

function newState({ type, id, changes }: PendingActor, file: TenantFile): ActorWrite | undefined {
  // One whole state needs no base: the file itself refuses one that is older. Anything else does, also when a whole
  // state comes first, because that may be older than the file while the patches after it are newer.
  const isWhole = changes.length === 1 && changes[0]?.kind === 'state';
  const state = coalesce(isWhole ? undefined : file.actors.read(type, id), changes);
  return state === undefined ? undefined : { type, id, ...state };
}
