/** Event streams of one scripted actor at a rig, and what its shard says to them. Everything opened here is closed by `stopReaders`. */
import { inboundOp, type OutboundFrame } from '../../src/protocol/envelope.ts';
import { actorHead, eventMessage, eventPosition } from '../../src/protocol/messages.ts';
import { EventReader, type ReaderOptions } from '../support/event-reader.ts';
import { type Rig, stopRigs } from './rig.ts';
import { token } from './tokens.ts';

const readers: EventReader[] = [];

/** Closes every reader and every rig. */
export async function stopReaders(): Promise<void> {
  for (const reader of readers.splice(0)) reader.close();
  await stopRigs();
}

export const head = actorHead('counter', 'c1');
export const said = (payload: unknown, seq = 0): string => eventMessage(head, 'said', JSON.stringify(payload), seq);
export const topic = 5;

export async function open(rig: Rig, options: ReaderOptions = {}, actor = 'counter'): Promise<EventReader> {
  const reader = await EventReader.open(rig.http, [actor, 'c1'], { token: token(), ...options });
  readers.push(reader);
  return reader;
}

/** One whose actor keeps a history and is at event 3. */
export async function openNumbered(rig: Rig, options: ReaderOptions = {}): Promise<EventReader> {
  const reader = await open(rig, options);
  tellLast(rig, eventPosition(head, 'e1', 3, false));
  return reader;
}

/** To the session that subscribed last. */
export function tellLast(rig: Rig, ...texts: string[]): void {
  const session = rig.shards.ops(inboundOp.subscribe).at(-1)![1];
  rig.shards.emit(0, (out) => {
    for (const text of texts) out.add('M', session, 0, 0, text);
  });
}

export function publish(rig: Rig, ...texts: string[]): void {
  rig.shards.emit(0, (out: OutboundFrame) => {
    for (const text of texts) out.add('P', topic, 0, 0, text);
  });
}
