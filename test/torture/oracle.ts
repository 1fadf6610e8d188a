/**
 * The oracle of the kill test: what the client knows of each actor, and what must hold when the server is back.
 *
 * A counter is raised by one with each call, so that its value is the number of executions and every execution returns
 * another number. A list holds the unique entry of each call, so that a lost call and a doubled one cannot cancel out.
 *
 *   after recovery:             acked ≤ value ≤ acked + unknown       list: every acked entry, none twice
 *   after repeating the keyed:  value = distinct keys + unkeyed executions,  acked ≤ unkeyed executions ≤ acked + unknown
 *   always:                     returned values differ · none exceeds the value · a repeat gets the same answer
 *
 * Calls that were rejected never took effect and count nowhere. The process that holds this is never killed.
 */

export type Fate = 'acked' | 'rejected' | 'unknown';

export interface Sent {
  /** '' without. */
  readonly key: string;
  /** For a list: what it appends. */
  readonly entry: string;
  fate: Fate | 'sent';
  /** The whole frame of the first answer. */
  answer: string;
  returned: number;
}

export type ActorKind = 'counter' | 'list';

/** What an actor says of itself. */
export type Observed = { readonly count: number } | { readonly entries: readonly string[] };

export interface Violation {
  readonly kind: 'lost' | 'doubled' | 'changed' | 'unavailable';
  readonly text: string;
}

export class ActorLog {
  readonly kind: ActorKind;
  readonly tenant: string;
  readonly id: string;
  /** Calls whose end is known, or not, since the accounts were last settled. */
  readonly calls: Sent[] = [];
  /** Executions that are accounted for: all calls before the last `settle`. */
  #base = 0;
  #keyed: Sent[] = [];
  readonly #returned = new Map<number, Sent>();
  readonly #entries = new Set<string>();

  constructor(kind: ActorKind, tenant: string, id: string) {
    this.kind = kind;
    this.tenant = tenant;
    this.id = id;
  }

  get name(): string {
    return `${this.tenant} ${this.kind}/${this.id}`;
  }

  send(key: string, entry: string): Sent {
    const sent: Sent = { key, entry, fate: 'sent', answer: '', returned: 0 };
    this.calls.push(sent);
    return sent;
  }

  /** Also for the answer to a repeat, when the first one was never heard. */
  ack(call: Sent, answer: string, returned: number): Violation[] {
    call.fate = 'acked';
    call.answer = answer;
    call.returned = returned;
    const twin = this.#returned.get(returned);
    this.#returned.set(returned, call);
    if (twin === undefined || twin === call) return [];
    return [{ kind: 'lost', text: `${this.name}: two calls were both told ${returned}` }];
  }

  unknownKeyed(): Sent[] {
    return this.calls.filter(({ fate, key }) => fate === 'unknown' && key !== '');
  }

  /** Acknowledged calls with a key, newest last; those of settled rounds too. */
  ackedKeyed(): Sent[] {
    return [...this.#keyed, ...this.calls.filter(({ fate, key }) => fate === 'acked' && key !== '')];
  }

  /** Before anything is repeated. */
  checkRecovered(observed: Observed): Violation[] {
    return [...this.#checkSize(sizeOf(observed)), ...this.#checkEntries(observed)];
  }

  /** When every keyed call was repeated until it was acknowledged: settles the accounts. */
  settle(observed: Observed): Violation[] {
    const violations = this.checkRecovered(observed);
    this.#base = sizeOf(observed);
    this.#keyed = this.ackedKeyed().slice(-keyedKept);
    for (const { fate, entry } of this.calls) if (fate === 'acked') this.#entries.add(entry);
    this.calls.length = 0;
    return violations;
  }

  #checkSize(size: number): Violation[] {
    const acked = this.#count('acked');
    const unknown = this.#count('unknown');
    const least = this.#base + acked;
    const most = least + unknown;
    const facts = `${this.name} says ${size}; ${this.#base} before, ${acked} acknowledged, ${unknown} unknown`;
    const violations: Violation[] = [];
    if (size < least) violations.push({ kind: 'lost', text: facts });
    if (size > most) violations.push({ kind: 'doubled', text: facts });
    const highest = Math.max(0, ...this.calls.map(({ fate, returned }) => (fate === 'acked' ? returned : 0)));
    if (highest > size)
      violations.push({ kind: 'lost', text: `${this.name} says ${size}, after it had said ${highest}` });
    return violations;
  }

  #checkEntries(observed: Observed): Violation[] {
    if (!('entries' in observed)) return [];
    const violations: Violation[] = [];
    const seen = new Set<string>();
    for (const entry of observed.entries) {
      if (seen.has(entry)) violations.push({ kind: 'doubled', text: `${this.name} holds ${entry} twice` });
      seen.add(entry);
    }
    const acked = [...this.#entries, ...this.calls.filter(({ fate }) => fate === 'acked').map(({ entry }) => entry)];
    for (const entry of acked) {
      if (!seen.has(entry)) violations.push({ kind: 'lost', text: `${this.name} has lost ${entry}` });
    }
    return violations;
  }

  #count(fate: Fate): number {
    return this.calls.filter((call) => call.fate === fate).length;
  }
}

/** Old keys of one actor that are remembered for repeats. */
const keyedKept = 200;

function sizeOf(observed: Observed): number {
  return 'entries' in observed ? observed.entries.length : observed.count;
}
