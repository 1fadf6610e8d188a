/**
 * From what is pending of an actor's trail to what a transaction writes of it. Numbers at or below the actor's place in
 * the file are there already, or were there and are forgotten: a journal that is replayed brings them again.
 */
import type { Stream } from '../protocol/envelope.ts';
import type { HistoryItem, NumberedCalls } from './contract.ts';
import { newestRun } from './history.ts';
import type { ChunkWrite } from './history-table.ts';
import type { PendingTrail } from './pending-trail.ts';
import type { Place } from './place-table.ts';
import type { Visit } from './trail-text.ts';

export interface TrailWrite {
  readonly type: string;
  readonly id: string;
  readonly numbered: readonly NumberedCalls[];
  /** In order. */
  readonly visits: readonly Visit[];
  readonly chunks: readonly ChunkWrite[];
  /** Undefined when it stays. */
  readonly place: Place | undefined;
}

/** Bounds of what is kept of patches, and in characters of events. */
export interface HistoryBounds {
  readonly historyTurnsMax: number;
  readonly historyBytesMax: number;
}

export function prepareTrail(
  { type, id }: { readonly type: string; readonly id: string },
  trail: PendingTrail,
  before: Place,
  { historyTurnsMax, historyBytesMax }: HistoryBounds,
): TrailWrite {
  const visits = trail.visits.filter(({ n }) => n > before.visitSeq);
  const { patchSeq, patchChars, eventSeq, eventChars } = before;
  const patches = prepareChunk('state', trail.patches, patchSeq, patchChars, historyTurnsMax, historyBytesMax);
  const events = prepareChunk('event', trail.events, eventSeq, eventChars, trail.eventsMax, historyBytesMax);
  const place = {
    visitSeq: visits.at(-1)?.n ?? before.visitSeq,
    patchSeq: patches?.lastSeq ?? patchSeq,
    patchChars: patches?.charsTo ?? patchChars,
    eventSeq: events?.lastSeq ?? eventSeq,
    eventChars: events?.charsTo ?? eventChars,
    eventsMax: events === undefined ? before.eventsMax : trail.eventsMax,
  };
  const chunks = [patches, events].filter((chunk) => chunk !== undefined);
  const moved = visits.length > 0 || chunks.length > 0;
  return { type, id, numbered: trail.allNumbered, visits, chunks, place: moved ? place : undefined };
}

function prepareChunk(
  stream: Stream,
  pending: readonly HistoryItem[],
  seqBefore: number,
  charsBefore: number,
  countMax: number,
  charsMax: number,
): (ChunkWrite & { readonly lastSeq: number }) | undefined {
  const fresh = pending.filter(({ seq }) => seq > seqBefore);
  const last = fresh.at(-1);
  if (last === undefined) return undefined;
  const items = newestRun(fresh, countMax, charsMax);
  const charsTo = charsBefore + fresh.reduce((sum, { text }) => sum + text.length, 0);
  // Where these do not go on from those before, those are worth nothing any more.
  const goesOn = items.length === fresh.length && items[0]!.seq === seqBefore + 1;
  const dropToSeq = goesOn ? last.seq - countMax : Infinity;
  return { stream, items, lastSeq: last.seq, charsTo, dropToSeq, dropToChars: charsTo - charsMax };
}
