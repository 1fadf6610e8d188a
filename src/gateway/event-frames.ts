/**
 * What a frame of the wire says to an event stream. The frames are those that a WebSocket with the additions gets, so that
 * a shard makes each text once; here they are read, and the last one is kept, because it often goes to many streams.
 */
import { AppError, type ErrorBody } from '../protocol/errors.ts';
import type { ServerMessage, StreamPosition } from '../protocol/messages.ts';

export type EventFrame =
  /** `data` is JSON text. */
  | { readonly kind: 'event'; readonly name: string; readonly data: string; readonly seq: number | undefined }
  | { readonly kind: 'position'; readonly position: StreamPosition; readonly gap: boolean }
  /** Of the state: a snapshot or patches, with their number. */
  | { readonly kind: 'state'; readonly name: 'fermata:state' | 'fermata:patch'; readonly data: string }
  | { readonly kind: 'refused'; readonly type: string; readonly error: ErrorBody }
  | { readonly kind: 'other' };

export class EventFrames {
  #text = '';
  #frame: EventFrame = other;

  read(text: string): EventFrame {
    if (text !== this.#text) {
      this.#text = text;
      this.#frame = frameOf(JSON.parse(text) as ServerMessage);
    }
    return this.#frame;
  }
}

const other: EventFrame = { kind: 'other' };

function frameOf(message: ServerMessage): EventFrame {
  // A stream drops an event without data.
  if (message.type === 'event') {
    return { kind: 'event', name: message.event, data: JSON.stringify(message.payload ?? null), seq: message.seq };
  }
  if (message.type === 'event:position') {
    const { epoch, seq, gap } = message;
    return { kind: 'position', position: { epoch, seq }, gap };
  }
  if (message.type === 'state:snapshot') {
    const { epoch, seq, state } = message;
    return { kind: 'state', name: 'fermata:state', data: JSON.stringify({ epoch, seq, state }) };
  }
  if (message.type === 'state:patch') {
    const { epoch, seq, patches } = message;
    return { kind: 'state', name: 'fermata:patch', data: JSON.stringify({ epoch, seq, patches }) };
  }
  if (message.type === 'error') {
    const { re, code, message: sentence, retryAfterMs } = message;
    const options = retryAfterMs === undefined ? {} : { retryAfterMs };
    return { kind: 'refused', type: re?.type ?? '', error: new AppError(code, sentence, options).toBody() };
  }
  return other;
}
