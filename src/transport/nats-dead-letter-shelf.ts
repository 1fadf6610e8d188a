/**
 * Dead letters as people handle them: looked through, read, taken away. What stands in them came from other processes, perhaps
 * of another version, so that every part may be missing.
 */
import type { JetStreamManager, MsgHdrs, NatsConnection, StoredMsg } from 'nats';
import { requestMs } from './nats-bounds.ts';
import { deadLetterHeaders, deadLetterKinds } from './nats-dead-letters.ts';
import { slots, streams, subjects } from './nats-names.ts';
import { apiCode, streamNotFound } from './nats-streams.ts';
import { type CallsMessage, readCalls } from './nats-wire.ts';

export interface ShelvedLetter {
  /** Its number, for as long as it lies there. */
  readonly seq: number;
  readonly slot: number;
  readonly kind: (typeof deadLetterKinds)[number] | 'unknown';
  readonly reason: string;
  /** '' when it could not be read. */
  readonly gateway: string;
  readonly deliveries: number;
  /** When it was put aside, by the server's clock. */
  readonly atMs: number;
  readonly bytes: number;
  /** Undefined when it is no frame. */
  readonly frame: CallsMessage | undefined;
}

export class NatsDeadLetterShelf {
  readonly #manager: JetStreamManager;

  private constructor(manager: JetStreamManager) {
    this.#manager = manager;
  }

  static async open(nc: NatsConnection): Promise<NatsDeadLetterShelf> {
    return new NatsDeadLetterShelf(await nc.jetstreamManager({ checkAPI: false, timeout: requestMs }));
  }

  /** Oldest first. Empty when there is no such stream. @throws NatsError when JetStream does not answer */
  async *letters(): AsyncIterable<ShelvedLetter> {
    for (let seq = 1; ; seq += 1) {
      const message = await this.#find({ seq, next_by_subj: subjects.allDead });
      if (message === undefined) return;
      seq = message.seq;
      yield letterOf(message);
    }
  }

  async letter(seq: number): Promise<ShelvedLetter | undefined> {
    const message = await this.#find({ seq });
    return message === undefined ? undefined : letterOf(message);
  }

  /** False when it was not there. */
  async remove(seq: number): Promise<boolean> {
    if ((await this.#find({ seq })) === undefined) return false;
    return await this.#manager.streams.deleteMessage(streams.dead, seq);
  }

  async #find(query: { readonly seq: number; readonly next_by_subj?: string }): Promise<StoredMsg | undefined> {
    try {
      return await this.#manager.streams.getMessage(streams.dead, query);
    } catch (error) {
      if (absent.has(apiCode(error))) return undefined;
      throw error;
    }
  }
}

/** The stream, or the message. */
const absent: ReadonlySet<number> = new Set([streamNotFound, 10037, 10043]);

function letterOf({ seq, subject, header, data, time }: StoredMsg): ShelvedLetter {
  const text = (name: keyof typeof deadLetterHeaders): string => headerOf(header, deadLetterHeaders[name]);
  const slot = Number(subject.slice(subject.lastIndexOf('.') + 1));
  const kind = deadLetterKinds.find((known) => known === text('kind')) ?? 'unknown';
  const frame = readCalls(data);
  return {
    seq,
    slot: Number.isSafeInteger(slot) && slot < slots ? slot : -1,
    kind,
    reason: text('reason'),
    gateway: text('gateway'),
    deliveries: Number(text('deliveries')) || 0,
    atMs: time.getTime(),
    bytes: data.length,
    frame,
  };
}

/** The type says that there always are some. */
function headerOf(header: MsgHdrs | undefined, name: string): string {
  return header?.get(name) ?? '';
}
