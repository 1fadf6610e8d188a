/**
 * What runtimes send to one gateway, put in order per slot: whose answers count, whether one was lost, when somebody new serves.
 *
 * Core NATS delivers at most once, so that seq is watched: a gap between answers, or one that the sync shows, means that
 * answers were lost, and what waits for the slot may never be answered. Answers of an older epoch are a stale owner's.
 * Nothing here touches NATS; the link feeds it and hears what follows.
 */
import { joinedCharsMax } from './nats-bounds.ts';
import { slots } from './nats-names.ts';
import { type AnswerMessage, type OutMessage, pieces, type SlotPosition } from './nats-wire.ts';

export interface AnswerEvents {
  readonly answer: (slot: number, records: string) => void;
  /** Answers of the slot were lost. A turnover follows, now or when somebody is known to serve it. */
  readonly lost: (slot: number, reason: string) => void;
  /** The runtime serves the slot under the epoch and knows no session yet. False when it cannot be told now. */
  readonly turnover: (slot: number, epoch: number, runtime: string) => boolean;
  readonly linkOf: (slot: number) => number;
}

interface Track {
  epoch: number;
  /** The next answer's. */
  seq: number;
  /** '' when it is not known. */
  runtime: string;
  /** Pieces of the answer that is coming. */
  joined: string;
  /** The connection was away: answers may be missing, until a sync says that none is. */
  unsure: boolean;
  /** Frames were given up: whoever serves the slot must hear who is there. */
  owed: boolean;
}

export class NatsAnswers {
  readonly #events: AnswerEvents;
  readonly #tracks: readonly Track[];
  stale = 0;

  constructor(events: AnswerEvents) {
    this.#events = events;
    this.#tracks = Array.from({ length: slots }, () => ({
      epoch: 0,
      seq: 1,
      runtime: '',
      joined: '',
      unsure: false,
      owed: false,
    }));
  }

  epochOf(slot: number): number {
    return this.#tracks[slot]!.epoch;
  }

  receive(message: OutMessage): void {
    switch (message.kind) {
      case 'answer':
        return this.#answer(message);
      case 'sync':
        for (const position of message.slots) this.#sync(message.runtime, position);
        return;
      case 'hello':
        for (const { slot, epoch } of message.slots) this.#hello(message.runtime, slot, epoch);
        return;
      case 'lost':
        if (message.epoch === this.epochOf(message.slot) && message.link === this.#events.linkOf(message.slot))
          this.lost(message.slot, 'frames were lost on the way to the runtime');
    }
  }

  /** The connection was interrupted. */
  interrupted(): void {
    for (const track of this.#tracks) track.unsure = track.epoch > 0;
  }

  /** What waits for the slot was given up, here or there. */
  lost(slot: number, reason: string): void {
    const track = this.#tracks[slot]!;
    track.owed = true;
    track.joined = '';
    this.#events.lost(slot, reason);
    if (track.runtime !== '') this.#turnover(slot, track);
  }

  #answer({ slot, epoch, seq, piece, records }: AnswerMessage): void {
    const track = this.#tracks[slot]!;
    if (epoch < track.epoch || (epoch === track.epoch && seq < track.seq)) {
      this.stale += 1;
      return;
    }
    if (epoch > track.epoch) {
      this.#enter(track, epoch, seq + 1, '');
      return this.lost(slot, 'answers came of an owner that never said hello');
    }
    const missing = seq > track.seq;
    track.seq = seq + 1;
    if (missing) return this.lost(slot, 'answers were lost on the way');
    this.#join(slot, track, piece, records);
  }

  #join(slot: number, track: Track, piece: number, records: string): void {
    if (piece === pieces.whole) return this.#events.answer(slot, records);
    // The beginning of this answer was lost, and its calls are over.
    if (piece !== pieces.first && track.joined === '') return;
    track.joined = piece === pieces.first ? records : track.joined + records;
    if (track.joined.length > joinedCharsMax) return this.lost(slot, 'an answer is too long');
    if (piece !== pieces.last) return;
    const whole = track.joined;
    track.joined = '';
    this.#events.answer(slot, whole);
  }

  #sync(runtime: string, { slot, epoch, seq }: SlotPosition): void {
    const track = this.#tracks[slot]!;
    if (epoch < track.epoch) return;
    if (epoch > track.epoch) {
      const unsure = track.unsure || seq > 0;
      this.#enter(track, epoch, seq + 1, runtime);
      return unsure ? this.lost(slot, 'answers were lost on the way') : this.#turnover(slot, track);
    }
    track.runtime = runtime;
    track.unsure = false;
    if (seq >= track.seq) {
      track.seq = seq + 1;
      this.lost(slot, 'answers were lost on the way');
    } else if (track.owed) {
      this.#turnover(slot, track);
    }
  }

  #hello(runtime: string, slot: number, epoch: number): void {
    const track = this.#tracks[slot]!;
    if (epoch < track.epoch) return;
    const unsure = track.unsure && epoch > track.epoch;
    if (epoch > track.epoch) this.#enter(track, epoch, 1, runtime);
    track.runtime = runtime;
    if (unsure) this.lost(slot, 'answers of the former owner may have been lost');
    else this.#turnover(slot, track);
  }

  #enter(track: Track, epoch: number, seq: number, runtime: string): void {
    Object.assign(track, { epoch, seq, runtime, joined: '', unsure: false });
  }

  #turnover(slot: number, track: Track): void {
    track.owed = !this.#events.turnover(slot, track.epoch, track.runtime);
  }
}
