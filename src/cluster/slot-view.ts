/**
 * The latest of all records that this process knows of, each with its revision and the time at which it was seen to change.
 * Fed by the watcher, and by the process's own writes as soon as they are acknowledged.
 *
 * It may be behind the truth at any moment. Whoever acts on it writes with the revision that it saw, and is refused if that
 * was not the last.
 */
import { Observation } from './observation.ts';
import { type NodeRecord, parseKey, parseNode, parseSlot, type SlotRecord } from './slot-records.ts';

export interface Seen<Record> {
  readonly revision: number;
  /** Undefined: deleted by hand, or not readable. */
  readonly record: Record | undefined;
  /** Deleted: as good as never written, but for its revision. */
  readonly deleted: boolean;
  /** On the clock of observation. */
  readonly changedAtMs: number;
}

/** As the bucket has it; no text: deleted. */
export interface Entry {
  readonly revision: number;
  readonly text: string | undefined;
}

export class SlotView {
  readonly observation: Observation;
  readonly #monotonic: () => number;
  #nodes = new Map<string, Seen<NodeRecord>>();
  #slots = new Map<number, Seen<SlotRecord>>();

  constructor(monotonic: () => number, gapMsMax: number) {
    this.#monotonic = monotonic;
    this.observation = new Observation(gapMsMax);
  }

  get nodes(): ReadonlyMap<string, Seen<NodeRecord>> {
    return this.#nodes;
  }

  get slots(): ReadonlyMap<number, Seen<SlotRecord>> {
    return this.#slots;
  }

  /** For how long the node's record was watched without a change. */
  silentMs(id: string): number {
    const seen = this.#nodes.get(id);
    return seen === undefined ? 0 : Math.max(0, this.observation.passedMs - seen.changedAtMs);
  }

  revisionOf(name: string): number {
    const key = parseKey(name);
    if (key === undefined) return 0;
    return (key.kind === 'node' ? this.#nodes.get(key.id) : this.#slots.get(key.slot))?.revision ?? 0;
  }

  /** One record. What is older than the known one is left alone. */
  note(name: string, entry: Entry): void {
    if (entry.revision > this.revisionOf(name)) this.#put(name, entry);
  }

  /** All records, after the watch began anew. True when some that were there are there no more: the bucket was lost. */
  replace(entries: ReadonlyMap<string, Entry>): boolean {
    const formerNodes = this.#nodes;
    const formerSlots = this.#slots;
    this.#nodes = new Map();
    this.#slots = new Map();
    for (const [name, entry] of entries) this.#put(name, entry);
    for (const [id, seen] of this.#nodes) {
      const former = formerNodes.get(id);
      if (former?.revision === seen.revision) this.#nodes.set(id, former);
    }
    return (
      [...formerNodes.keys()].some((id) => !this.#nodes.has(id)) ||
      [...formerSlots.keys()].some((slot) => !this.#slots.has(slot))
    );
  }

  #put(name: string, { revision, text }: Entry): void {
    const key = parseKey(name);
    if (key === undefined) return;
    const common = { revision, deleted: text === undefined, changedAtMs: this.observation.at(this.#monotonic()) };
    if (key.kind === 'node') {
      this.#nodes.set(key.id, { ...common, record: text === undefined ? undefined : parseNode(text) });
    } else {
      this.#slots.set(key.slot, { ...common, record: text === undefined ? undefined : parseSlot(text) });
    }
  }
}
