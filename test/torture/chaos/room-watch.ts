/**
 * One client's view of one room, judged while it is seen: every state must be one that the room really had, and every
 * event the very next one.
 *
 * A room counts its calls, alone and per caller, in one state: a patch that is missing or doubled makes the two differ.
 */
import type { Violation } from '../oracle.ts';

export interface Said {
  readonly client: string;
  readonly n: number;
  readonly at: number;
}

export interface RoomState {
  readonly count: number;
  readonly calls: Readonly<Record<string, number>>;
  readonly online: Readonly<Record<string, unknown>>;
  readonly visits: readonly string[];
}

/** What was said in a room, as the first who heard it heard it. */
export type Transcript = Map<number, string>;

export class RoomWatch {
  readonly room: string;
  /** Subscribed in the storm: the answer to its first subscription may have been lost, and a gap been told for that. */
  readonly late: boolean;
  readonly violations: Violation[] = [];
  events = 0;
  states = 0;
  /** Gaps that were told before the first event of a late one. */
  gapsAllowed = 0;
  /** Number of the last event, and of the last whisper. */
  #at = 0;
  #whisperedAt = 0;
  /** Calls of the room when it was certain that events were heard. */
  #certainAt: number | undefined;
  #firstAt: number | undefined;
  #state: RoomState | undefined;
  readonly #who: string;
  readonly #transcript: Transcript;

  constructor(who: string, room: string, late: boolean, transcript: Transcript) {
    this.#who = `${who} in ${room}`;
    this.room = room;
    this.late = late;
    this.#transcript = transcript;
  }

  get state(): RoomState | undefined {
    return this.#state;
  }

  /** From now on every event is heard; the room has had so many calls. */
  certain(count: number): void {
    this.#certainAt = count;
  }

  hear({ at, client, n }: Said): void {
    this.events += 1;
    this.#firstAt ??= at;
    if (this.#at > 0 && at <= this.#at) this.#note('doubled', `heard event ${at} after ${this.#at}`);
    else if (this.#at > 0 && at !== this.#at + 1) this.#note('lost', `heard event ${at} right after ${this.#at}`);
    this.#at = Math.max(at, this.#at);
    const text = `${client} ${n}`;
    const known = this.#transcript.get(at);
    if (known === undefined) this.#transcript.set(at, text);
    else if (known !== text) this.#note('changed', `heard "${text}" as event ${at}, others heard "${known}"`);
  }

  hearWhisper(to: string, at: number, clientIds: ReadonlySet<string>): void {
    if (!clientIds.has(to)) this.#note('changed', `heard a whisper for ${to}`);
    if (at <= this.#whisperedAt) this.#note('doubled', `heard whisper ${at} after ${this.#whisperedAt}`);
    this.#whisperedAt = Math.max(at, this.#whisperedAt);
  }

  gap(): void {
    if (this.late && this.events === 0) this.gapsAllowed += 1;
    else this.#note('lost', `was told of a gap after event ${this.#at}`);
  }

  see(state: RoomState): void {
    this.states += 1;
    if (this.#state !== undefined && state.count < this.#state.count)
      this.#note('changed', `saw ${state.count} calls after ${this.#state.count}`);
    const sum = Object.values(state.calls).reduce((total, calls) => total + calls, 0);
    if (sum !== state.count) this.#note('changed', `saw a state of ${state.count} calls that add up to ${sum}`);
    this.#state = state;
  }

  /** Its own call was answered: what it caused must have arrived before. */
  answered(at: number): void {
    if (this.late) return;
    if (this.#at < at) this.#note('lost', `had the answer to call ${at} before its event, after event ${this.#at}`);
    const count = this.#state?.count ?? 0;
    if (count < at) this.#note('lost', `had the answer to call ${at} when its state had ${count}`);
  }

  /** At the end, when the room has had so many calls. */
  finish(count: number): void {
    if (this.#at !== count) this.#note('lost', `heard up to event ${this.#at} of ${count}`);
    if (this.#certainAt === undefined) return;
    const first = this.#firstAt ?? count + 1;
    if (first > this.#certainAt + 1)
      this.#note('lost', `heard events from ${first} on, and had subscribed at ${this.#certainAt}`);
  }

  #note(kind: Violation['kind'], text: string): void {
    this.violations.push({ kind, text: `${this.#who} ${text}` });
  }
}
