/**
 * What is known of one book: every call to it with the wall-clock times before it was sent and after its answer came, and
 * what its content must be as of a moment.
 *
 *   acknowledged by then            is there
 *   sent after it                   is not there
 *   under way at that moment        may be there
 *
 * One call after the other goes to a book, so that its entries lie in the order in which they were sent, without a hole.
 * A book has a twin, in which an entry is written once it is acknowledged here: whatever holds the twin's entry holds this
 * one's too.
 */
import type { Violation } from '../oracle.ts';

export interface Sent {
  readonly entry: string;
  /** '' without. */
  readonly key: string;
  readonly sentMs: number;
  /** When its answer came, or when it was clear that none will; infinite before. */
  endedMs: number;
  /** `unknown` also while it is under way. */
  fate: 'acked' | 'unknown' | 'rejected';
  /** What it was told. */
  returned: number;
  /** A restore took it back, at this time. */
  undoneMs: number;
}

/** Everything acknowledged by `fromMs` is in it, nothing that was sent after `toMs`. The same for an instant. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Content {
  readonly count: number;
  readonly entries: readonly string[];
}

type Duty = 'must' | 'may' | 'no';

export class Book {
  readonly tenant: string;
  readonly id: string;
  /** In the order in which they were sent. */
  readonly calls: Sent[] = [];

  constructor(tenant: string, id: string) {
    this.tenant = tenant;
    this.id = id;
  }

  get name(): string {
    return `${this.tenant} book/${this.id}`;
  }

  send(key: string, entry: string): Sent {
    const nothing = { endedMs: Number.POSITIVE_INFINITY, fate: 'unknown', returned: 0, undoneMs: Infinity } as const;
    const sent: Sent = { entry, key, sentMs: Date.now(), ...nothing };
    this.calls.push(sent);
    return sent;
  }

  /** Whether no call was under way, so that there is one right content only. */
  isQuiet(atMs: number): boolean {
    return this.calls.every(({ sentMs, endedMs }) => sentMs > atMs || endedMs <= atMs);
  }

  /** Acknowledged by then, with a key. */
  keyed(byMs: number): Sent[] {
    return this.calls.filter((call) => call.key !== '' && this.#duty(call, { fromMs: byMs, toMs: byMs }) === 'must');
  }

  judge(content: Content, span: Span, when: string): Violation[] {
    const duty = (call: Sent): Duty => this.#duty(call, span);
    const { name } = this;
    const held = new Set(content.entries);
    const between = this.calls.filter((call) => call.fate === 'acked' && duty(call) === 'may');
    const hole = between.find(
      ({ entry }, at) => !held.has(entry) && between.slice(at).some((call) => held.has(call.entry)),
    );
    const found = this.#compare(content, duty, when);
    if (hole !== undefined)
      found.push({ kind: 'lost', text: `${name} ${when} lacks ${hole.entry}, and has what was sent after it` });
    return found;
  }

  /** The present content, when a restore to `atMs` ran from `span.fromMs` to `span.toMs`. */
  judgeReplaced(content: Content, atMs: number, span: Span): Violation[] {
    const isMeanwhile = ({ sentMs, endedMs }: Sent): boolean => sentMs <= span.toMs && endedMs >= span.fromMs;
    const when = `after it was replaced as of ${new Date(atMs).toISOString()}`;
    const nowMs = Date.now();
    const duty = (call: Sent): Duty => {
      if (isMeanwhile(call)) return call.fate === 'rejected' ? 'no' : 'may';
      const heldMs = call.sentMs > span.toMs ? nowMs : atMs;
      return this.#duty(call, { fromMs: heldMs, toMs: heldMs });
    };
    const found = this.#compare(content, duty, when);
    // What came first was taken back, what came later was not.
    const held = new Set(content.entries);
    const meanwhile = this.calls.filter((call) => call.fate === 'acked' && isMeanwhile(call));
    const firstHeld = meanwhile.findIndex(({ entry }) => held.has(entry));
    const hole = firstHeld < 0 ? undefined : meanwhile.slice(firstHeld).find(({ entry }) => !held.has(entry));
    if (hole !== undefined)
      found.push({ kind: 'lost', text: `${this.name} ${when} lacks ${hole.entry}, and has what was sent before it` });
    return found;
  }

  /** What became of calls without an answer, and of those that a restore took back: the present content says it. */
  settle({ entries }: Content): void {
    const held = new Set(entries);
    const nowMs = Date.now();
    for (const call of this.calls) {
      if (call.fate === 'unknown' && call.endedMs < nowMs) call.fate = held.has(call.entry) ? 'acked' : 'rejected';
      if (call.fate === 'acked' && !held.has(call.entry)) call.undoneMs = Math.min(call.undoneMs, nowMs);
    }
  }

  #duty({ fate, sentMs, endedMs, undoneMs }: Sent, { fromMs, toMs }: Span): Duty {
    if (fate === 'rejected' || sentMs > toMs || undoneMs <= fromMs) return 'no';
    return fate === 'acked' && endedMs <= fromMs ? 'must' : 'may';
  }

  #compare(content: Content, duty: (call: Sent) => Duty, when: string): Violation[] {
    const { count, entries } = content;
    const found: Violation[] = [];
    const add = (kind: Violation['kind'], what: string): void => {
      found.push({ kind, text: `${this.name} ${when} ${what}` });
    };
    const held = new Set(entries);
    if (count !== entries.length) add('changed', `counts ${count} and holds ${entries.length}`);
    if (held.size < entries.length) add('doubled', 'holds an entry twice');
    const known = this.calls.filter((call) => duty(call) !== 'no');
    const wanted = new Set(known.map(({ entry }) => entry));
    const unasked = entries.filter((entry) => !wanted.has(entry));
    if (unasked.length > 0) add('doubled', `holds ${few(unasked)}, which was not to be there`);
    const lost = known.filter((call) => duty(call) === 'must' && !held.has(call.entry));
    if (lost.length > 0) add('lost', `lacks ${few(lost.map(({ entry }) => entry))}`);
    const order = known.filter(({ entry }) => held.has(entry)).map(({ entry }) => entry);
    if (unasked.length === 0 && held.size === entries.length && order.join() !== entries.join())
      add('changed', 'has its entries in another order');
    return found;
  }
}

function few(entries: readonly string[]): string {
  return entries.length > 3 ? `${entries.slice(0, 3).join(', ')} and ${entries.length - 3} more` : entries.join(', ');
}
