/**
 * What a slot's former owner left unsaid: up to which message of the stream it may have begun, and which message has been the
 * oldest in its hands. Kept in the bucket of slots, so that the next owner, and the one after it, know.
 *
 * A message that is the oldest unfinished one at owner after owner is taken for the cause of their deaths.
 */
import type { KV } from 'nats';
import { deliveriesMax } from './nats-bounds.ts';

export interface Doubt {
  /** Sequence in the stream; 0: nothing is in doubt. */
  readonly upTo: number;
  /** When the stream was made: in another one all numbers mean something else. */
  readonly created: string;
  /** The oldest message that was begun and not finished, 0 for none, and for how many owners in a row it was. */
  readonly oldest: number;
  readonly times: number;
}

export interface Remains {
  readonly created: string;
  readonly delivered: number;
  readonly oldest: number;
}

/** What is in doubt after one more owner. */
export function addDoubt(doubt: Doubt | undefined, { created, delivered, oldest }: Remains): Doubt {
  const former = doubt?.created === created ? doubt : noDoubt(created);
  const again = oldest > 0 && oldest === former.oldest;
  return {
    upTo: Math.max(former.upTo, delivered),
    created,
    oldest,
    times: oldest === 0 ? 0 : again ? former.times + 1 : 1,
  };
}

export function noDoubt(created: string): Doubt {
  return { upTo: 0, created, oldest: 0, times: 0 };
}

/** The message that must not be begun again, 0 for none. */
export function deadlyOf({ oldest, times }: Doubt): number {
  return times >= deliveriesMax ? oldest : 0;
}

export async function readDoubt(bucket: KV, slot: number): Promise<Doubt | undefined> {
  const entry = await bucket.get(keyOf(slot));
  return entry === null || entry.operation !== 'PUT' ? undefined : parseDoubt(entry.string());
}

export async function writeDoubt(bucket: KV, slot: number, doubt: Doubt): Promise<void> {
  await bucket.put(keyOf(slot), JSON.stringify(doubt));
}

/** Undefined when it is none: then nothing is known, and the stream alone speaks. */
export function parseDoubt(text: string): Doubt | undefined {
  try {
    const { upTo, created, oldest, times } = JSON.parse(text) as Partial<Record<keyof Doubt, unknown>>;
    if (!isCount(upTo) || !isCount(oldest) || !isCount(times) || typeof created !== 'string') return undefined;
    return { upTo, created, oldest, times };
  } catch {
    return undefined;
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function keyOf(slot: number): string {
  return `doubt.${slot}`;
}
