/**
 * A trail as text, the fifth field of a journal entry: a JSON array, cut off after its first item when the rest is empty.
 *
 *     [ numbered, visits, patches, events, eventsMax ]
 *     numbered: ["client",ack,[n,"ok","result as JSON text",atMs],[n,"error",{error body},atMs], …] per client
 *     visits:   [n,"clientId","sessionId","userId" or null,{claims}] for one who came, [n,"clientId"] for one who left
 *     patches:  "own", or items like events
 *     events:   [seq,"JSON text"] per item
 *
 * What a shard has as JSON text already is quoted, not read: numbered calls pass here one by one.
 */
import type { HistoryItem, NumberedCalls, Trail, Visitor } from './contract.ts';
import { decodeOutcome, encodeOutcome } from './outcome-text.ts';
import { quoted } from './quoted.ts';

export type Visit = Trail['visits'][number];

export function encodeTrail({ numbered, visits, patches, events, eventsMax }: Trail): string {
  const calls = joined(numbered, encodeNumbered);
  if (visits.length === 0 && patches.length === 0 && events.length === 0 && eventsMax === 0) return `[${calls}]`;
  const kept = patches === 'own' ? '"own"' : encodeItems(patches);
  return `[${calls},${joined(visits, encodeVisit)},${kept},${encodeItems(events)},${eventsMax}]`;
}

export function encodeItems(items: readonly HistoryItem[]): string {
  return joined(items, ({ seq, text }) => `[${seq},${quoted(text)}]`);
}

export function decodeTrail(text: string): Trail {
  const [numbered, visits = [], patches = [], events = [], eventsMax = 0] = JSON.parse(text) as TrailTuple;
  return {
    numbered: numbered.map(([client, ack, ...calls]) => ({
      client,
      ack,
      calls: calls.map(([n, kind, end, atMs]) => ({ n, outcome: decodeOutcome(kind, end), atMs })),
    })),
    visits: visits.map(decodeVisit),
    patches: patches === 'own' ? patches : patches.map(decodeItem),
    events: events.map(decodeItem),
    eventsMax,
  };
}

export function decodeItems(text: string): HistoryItem[] {
  return (JSON.parse(text) as ItemTuple[]).map(decodeItem);
}

type ItemTuple = [seq: number, text: string];
type VisitTuple = [n: number, clientId: string, sessionId?: string, userId?: string | null, claims?: Visitor['claims']];
type NumberedTuple = [client: string, ack: number, ...calls: [n: number, kind: string, end: unknown, atMs: number][]];
type TrailTuple = [
  numbered: NumberedTuple[],
  visits?: VisitTuple[],
  patches?: 'own' | ItemTuple[],
  events?: ItemTuple[],
  eventsMax?: number,
];

function joined<T>(items: readonly T[], encode: (item: T) => string): string {
  let text = '';
  for (const item of items) text = text === '' ? encode(item) : `${text},${encode(item)}`;
  return `[${text}]`;
}

function encodeNumbered({ client, ack, calls }: NumberedCalls): string {
  let text = `["${client}",${ack}`;
  for (const { n, outcome, atMs } of calls) text += `,[${n},${encodeOutcome(outcome)},${atMs}]`;
  return `${text}]`;
}

function encodeVisit(visit: Visit): string {
  if (visit.kind === 'out') return `[${visit.n},${quoted(visit.clientId)}]`;
  const { clientId, sessionId, userId, claims } = visit.visitor;
  return JSON.stringify([visit.n, clientId, sessionId, userId, claims]);
}

function decodeVisit([n, clientId, sessionId, userId = null, claims = {}]: VisitTuple): Visit {
  if (sessionId === undefined) return { kind: 'out', n, clientId };
  return { kind: 'in', n, visitor: { clientId, sessionId, userId, claims } };
}

function decodeItem([seq, text]: ItemTuple): HistoryItem {
  return { seq, text };
}
