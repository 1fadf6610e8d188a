/**
 * What is known of one actor of a world: every call that was acknowledged with its answer, and for rooms the states and
 * events that a subscriber saw. It judges what a server says of the actor now.
 *
 * `right`: the state after the last acknowledged call, with those gone who were there when the process ended ·
 * `rolled-back`: one that it had before · `doubled`: more than was ever asked for · `wrong`: anything else.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Call, Frame } from '../../support/base-client.ts';
import { patched, type PatchOp } from '../../support/stock-patches.ts';

export type Judgement = 'right' | 'rolled-back' | 'doubled' | 'wrong';

export interface Ask extends Call {
  readonly ack?: number;
}

export interface Answered {
  readonly ask: Ask;
  readonly result: unknown;
}

export interface Place {
  readonly epoch: string;
  readonly seq: number;
}

export interface StatePlace extends Place {
  readonly state: RoomState;
}

export interface RoomState {
  readonly count: number;
  readonly calls: Readonly<Record<string, number>>;
  readonly online: Readonly<Record<string, unknown>>;
  readonly visits: readonly string[];
}

/** Numbered calls that the client does not give up; so many can be repeated. */
const keptNumbers = 20;
let names = 0;

export class KnownActor {
  readonly tenant: string;
  readonly type: 'ledger' | 'room';
  readonly id: string;
  readonly clientIds = new Set<string>();
  /** Places at which a subscriber was, oldest first. */
  readonly states: StatePlace[] = [];
  readonly eventPlaces: Place[] = [];
  /** Payloads of `said`, by number. */
  readonly said = new Map<number, unknown>();
  readonly #client: string;
  readonly #entries: string[] = [];
  #answered: Answered[] = [];
  #asked = 0;
  #numbered = 0;

  constructor(tenant: string, type: 'ledger' | 'room', id: string) {
    this.tenant = tenant;
    this.type = type;
    this.id = id;
    this.#client = `flips-client-${(names += 1)}`;
  }

  get name(): string {
    return `${this.tenant} ${this.type}/${this.id}`;
  }

  next(client: string): Ask {
    const n = (this.#asked += 1);
    const { type, id } = this;
    const ask = { actor: type, actorId: id, method: type === 'room' ? 'say' : 'append', input: { client, n } };
    if (n % 3 === 0) return ask;
    if (n % 3 === 1) return { ...ask, key: `key-${id}-${n}` };
    const number = (this.#numbered += 1);
    return { ...ask, key: `${this.#client}:${number}`, ack: Math.max(0, number - keptNumbers) };
  }

  acknowledge(ask: Ask, result: unknown): void {
    const { client, n } = ask.input as { client: string; n: number };
    this.#entries.push(`${client} ${n}`);
    if (ask.key !== undefined) this.#answered.push({ ask, result });
    const given = ask.ack ?? 0;
    const numberOf = (key: string): number => Number(key.slice(this.#client.length + 1));
    if (given > 0)
      this.#answered = this.#answered.filter(({ ask: { ack, key } }) => ack === undefined || numberOf(key!) > given);
  }

  /** Calls with a key whose outcome the server must know, newest last. */
  get answered(): readonly Answered[] {
    return this.#answered;
  }

  /** Everything that a subscriber of this room was sent, from its first snapshot on. */
  watch(frames: readonly Frame[]): void {
    let at: StatePlace | undefined;
    for (const frame of frames) {
      if (frame['actorId'] !== this.id) continue;
      const { epoch, seq } = frame as unknown as Place;
      if (frame.type === 'state:snapshot') at = { epoch, seq, state: frame['state'] as RoomState };
      if (frame.type === 'state:patch')
        at = { epoch, seq, state: patched(at!.state, frame['patches'] as PatchOp[]) as RoomState };
      if (frame.type === 'state:snapshot' || frame.type === 'state:patch') this.states.push(at!);
      if (frame.type === 'event:position') this.eventPlaces.push({ epoch, seq });
      if (frame.type === 'event' && frame['event'] === 'said') this.said.set(seq, frame['payload']);
    }
  }

  judge(state: unknown): Judgement {
    try {
      return this.type === 'room' ? this.#judgeRoom(state as RoomState) : this.#judgeEntries(state);
    } catch {
      // Not even its shape is right.
      return 'wrong';
    }
  }

  #judgeEntries(state: unknown): Judgement {
    const { entries } = state as { entries: readonly string[] };
    const known = this.#entries;
    if (isDeepStrictEqual(state, { entries: known })) return 'right';
    if (entries.length > known.length) return isPrefix(known, entries) ? 'doubled' : 'wrong';
    return isPrefix(entries, known) ? 'rolled-back' : 'wrong';
  }

  /** Of visits and presence only what is about clients of the load: those who look on now come and go. */
  #judgeRoom({ count, calls, online, visits }: RoomState): Judgement {
    const last = this.states.at(-1)!.state;
    const known = (visit: string): boolean => this.clientIds.has(visit.slice(1));
    const came = visits.filter(known);
    const before = last.visits.filter(known);
    const gone = Object.keys(last.online).map((id) => `-${id}`);
    const present = Object.keys(online).filter((id) => this.clientIds.has(id));
    const sum = Object.values(calls).reduce((total, each) => total + each, 0);
    if (sum !== count) return 'wrong';
    const allCame = isPrefix(before, came) && isDeepStrictEqual(came.slice(before.length).sort(), gone.sort());
    if (count === last.count && isDeepStrictEqual(calls, last.calls) && allCame && present.length === 0) return 'right';
    if (count > last.count || came.length > before.length + gone.length) return 'doubled';
    const fewer = Object.entries(calls).every(([client, times]) => times <= (last.calls[client] ?? 0));
    // Arrivals as they were, up to some; who of these has left again depends on when the former process ended.
    const arrivals = came.filter(isArrival);
    const departures = came.filter((visit) => !isArrival(visit));
    const cameBefore =
      isPrefix(arrivals, before.filter(isArrival)) &&
      new Set(departures).size === departures.length &&
      departures.every((visit) => arrivals.includes(`+${visit.slice(1)}`));
    return fewer && cameBefore ? 'rolled-back' : 'wrong';
  }
}

function isArrival(visit: string): boolean {
  return visit.startsWith('+');
}

function isPrefix(of: readonly string[], whole: readonly string[]): boolean {
  return of.length <= whole.length && of.every((each, at) => each === whole[at]);
}
