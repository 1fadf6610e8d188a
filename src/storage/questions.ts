/**
 * The answers to what shards ask about one actor: the file's content with pending entries on top. Each reads what its
 * question needs, and changes nothing that another question could see.
 */
import type { Address } from '../protocol/address.ts';
import type { Stream } from '../protocol/envelope.ts';
import type { Limits } from '../protocol/limits.ts';
import { coalesce } from './coalesce.ts';
import type { CallRecord, HistoryItem, LoadedActor, NumberedCalls, StoredOutcome, Visitor } from './contract.ts';
import { DamagedActorError } from './damaged-actor.ts';
import { decodeCall } from './entry.ts';
import { itemsSince, newestRun } from './history.ts';
import type { PendingActor } from './pending.ts';
import { noPlace } from './place-table.ts';
import type { TenantFile } from './tenant-file.ts';
import type { Visit } from './trail-text.ts';

/** Where the answer lies: either may be missing. */
export interface Sources {
  readonly file: TenantFile | undefined;
  readonly pending: PendingActor | undefined;
}

/** `boot` is the epoch of a tenant without a file, because it will be the file's. */
export function loadedActor({ type, id }: Address, { file, pending }: Sources, boot: string): LoadedActor {
  // Also under a whole state: entries that a journal of a former shard count brought late are older than the file.
  const state = coalesce(file?.actors.read(type, id), pending?.changes ?? []);
  // What was put together once need not be again at the next write.
  if (pending !== undefined && pending.changes.length > 0 && state !== undefined) {
    pending.changes = [{ seq: state.seq, version: state.version, kind: 'state', text: state.state }];
  }
  const place = file?.places.read(type, id) ?? noPlace;
  const trail = pending?.trail;
  const visits = trail?.visits.filter(({ n }) => n > place.visitSeq) ?? [];
  return {
    seq: state?.seq ?? 0,
    version: state?.version ?? 0,
    state: state?.state,
    hasOutcomes: (pending?.calls.length ?? 0) > 0 || file?.calls.any(type, id) === true,
    hasNumbered: (trail?.allNumbered.length ?? 0) > 0 || file?.numbered.any(type, id) === true,
    epoch: file?.epoch ?? boot,
    eventSeq: Math.max(place.eventSeq, trail?.events.at(-1)?.seq ?? 0),
    patchSeq: Math.max(place.patchSeq, trail?.patches.at(-1)?.seq ?? 0),
    visitors: afterVisits(place.visitSeq === 0 ? [] : (file?.visitors.read(type, id) ?? []), visits),
    visitSeq: visits.at(-1)?.n ?? place.visitSeq,
  };
}

export function storedOutcome(
  { type, id }: Address,
  { file, pending }: Sources,
  key: string,
  sinceMs: number,
): { args: string; outcome: StoredOutcome } | undefined {
  const isKept = ({ atMs }: { atMs: number }) => atMs >= sinceMs;
  const call = pending?.call(key);
  let found: Omit<CallRecord, 'key'> | undefined = call === undefined ? undefined : decodeCall(call);
  // One that is pending may have come late, from a journal of a former shard count, and its key been used anew since.
  if (found === undefined || !isKept(found)) found = file?.calls.read(type, id, key);
  return found === undefined || !isKept(found) ? undefined : { args: found.args, outcome: found.outcome };
}

export function storedNumbered(
  { type, id }: Address,
  { file, pending }: Sources,
  client: string,
  sinceMs: number,
): Omit<NumberedCalls, 'client'> | undefined {
  const known = [file?.numbered.read(type, id, client), pending?.trail?.numbered(client)].filter(
    (each) => each !== undefined,
  );
  const ack = Math.max(0, ...known.map((each) => each.ack));
  const calls = new Map(known.flatMap((each) => each.calls).map((call) => [call.n, call]));
  const kept = [...calls.values()].filter(({ n, atMs }) => n > ack && atMs >= sinceMs).sort((a, b) => a.n - b.n);
  return ack === 0 && kept.length === 0 ? undefined : { ack, calls: kept };
}

/** `damagedChunks` of what was read fail their check, and are as good as gone. */
export function storedHistory(
  { type, id }: Address,
  { file, pending }: Sources,
  stream: Stream,
  since: number,
  { historyTurnsMax, historyBytesMax }: Limits,
): { readonly items: readonly HistoryItem[] | undefined; readonly damagedChunks: number } {
  const place = file?.places.read(type, id) ?? noPlace;
  const trail = pending?.trail;
  const ofState = stream === 'state';
  const stored = file?.history.read(type, id, stream, since) ?? { items: [], damagedChunks: 0 };
  const storedSeq = ofState ? place.patchSeq : place.eventSeq;
  const added = (ofState ? trail?.patches : trail?.events) ?? [];
  const fresh = added.filter(({ seq }) => seq > Math.max(since, storedSeq));
  const countMax = ofState ? historyTurnsMax : trail?.eventsMax || place.eventsMax;
  const kept = newestRun([...stored.items, ...fresh], countMax, historyBytesMax);
  // A state that went on without patches is kept cannot be reached by them.
  const newest = ofState ? newestState({ file, pending }, type, id) : Math.max(storedSeq, added.at(-1)?.seq ?? 0);
  return { items: itemsSince(kept, newest, since), damagedChunks: stored.damagedChunks };
}

/** Is anybody on the actor's list? Where that cannot be told, yes: whoever loads the actor will hear of it. */
export function hasVisitors({ type, id }: { type: string; id: string }, { file, pending }: Sources): boolean {
  try {
    const seen = file?.places.read(type, id).visitSeq ?? 0;
    const visits = pending?.trail?.visits.filter(({ n }) => n > seen) ?? [];
    return afterVisits(file?.visitors.read(type, id) ?? [], visits).length > 0;
  } catch (error) {
    if (error instanceof DamagedActorError) return true;
    throw error;
  }
}

/** Who is there when these visits were made, too. */
export function afterVisits(before: readonly Visitor[], visits: readonly Visit[]): readonly Visitor[] {
  if (visits.length === 0) return before;
  const visitors = new Map(before.map((visitor) => [visitor.clientId, visitor]));
  for (const visit of visits) {
    if (visit.kind === 'in') visitors.set(visit.visitor.clientId, visit.visitor);
    else visitors.delete(visit.clientId);
  }
  return [...visitors.values()];
}

function newestState({ file, pending }: Sources, type: string, id: string): number {
  let newest = file?.actors.seq(type, id) ?? 0;
  for (const { seq } of pending?.changes ?? []) newest = Math.max(newest, seq);
  return newest;
}
