/**
 * What a subscriber missed since the position it names: from memory, and from the keeper for what was before this
 * activation. Computes and returns; the turn sends it.
 */
import type { PendingEvent } from '../actor/definition.ts';
import type { Stream } from '../protocol/envelope.ts';
import { quote } from '../protocol/json-text.ts';
import { eventMessage, type StreamPosition } from '../protocol/messages.ts';
import type { HistoryItem, Keeper } from '../storage/contract.ts';
import type { Activation } from './activation.ts';
import type { History } from './history.ts';
import type { Step } from './turn.ts';

/** The patches after `since`, none when nothing was missed; undefined when only a snapshot can help. */
export function* missedPatches(
  activation: Activation,
  since: StreamPosition | undefined,
  keeper: Keeper,
): Step<readonly HistoryItem[] | undefined> {
  if (since === undefined || since.epoch !== activation.epoch || since.seq > activation.seq) return undefined;
  if (since.seq === activation.seq) return [];
  return yield* after(activation, 'state', activation.patches, since.seq, keeper);
}

export interface MissedEvents {
  /** What follows comes after this. */
  readonly position: number;
  /** Some of what was missed is not kept any more. */
  readonly gap: boolean;
  readonly items: readonly HistoryItem[];
}

export function* missedEvents(
  activation: Activation,
  since: StreamPosition | undefined,
  keeper: Keeper,
): Step<MissedEvents> {
  const { eventSeq, events, epoch } = activation;
  if (since === undefined || (since.epoch === epoch && since.seq === eventSeq))
    return { position: eventSeq, gap: false, items: [] };
  // Numbers of another epoch do not say which of these the client has seen.
  if (since.epoch !== epoch || since.seq > eventSeq) return { position: eventSeq, gap: true, items: [] };
  const items = yield* after(activation, 'event', events, since.seq, keeper);
  if (items !== undefined) return { position: since.seq, gap: false, items };
  return { position: events.start, gap: true, items: events.all() };
}

/** Undefined when that is not all kept. */
function* after(
  activation: Activation,
  stream: Stream,
  history: History,
  since: number,
  keeper: Keeper,
): Step<readonly HistoryItem[] | undefined> {
  // Once per activation: the keeper has a thousand actors to care for.
  if (since < history.start && !history.complete && activation.stored)
    history.learn((yield keeper.history(activation.address, stream, everything)) as readonly HistoryItem[] | undefined);
  return history.after(since);
}

/** As the keeper understands it. */
const everything = -1;

// How an event lies in the history: its name, whom it was for, and its payload if it had one.

type Kept = [event: string, to: { to?: string[]; except?: string[] } | null, payload?: unknown];

export function keptEvent(seq: number, { event, payload, target }: PendingEvent): HistoryItem {
  const to = target.kind === 'all' ? 'null' : JSON.stringify({ [target.kind]: [...target.ids] });
  return { seq, text: `[${quote(event)},${to}${payload === '' ? '' : `,${payload}`}]` };
}

/** The frame of a kept event, or undefined when it was not for this client. */
export function keptMessage(head: string, { seq, text }: HistoryItem, clientId: string): string | undefined {
  const kept = JSON.parse(text) as Kept;
  const [event, to, payload] = kept;
  if (to?.to !== undefined && !to.to.includes(clientId)) return undefined;
  if (to?.except?.includes(clientId) === true) return undefined;
  return eventMessage(head, event, kept.length < 3 ? '' : JSON.stringify(payload), seq);
}
