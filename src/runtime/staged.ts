/**
 * What one batch holds of one actor: whether it changed, by which patches, which calls with a key ended, who came and
 * went, which events are to be kept.
 *
 * An actor that made a hundred turns in a batch is written once when its state is small or less than its patches: the last
 * state stands for all, because the batch is kept or lost as a whole. Else each turn's patches are an entry with a number
 * of its own: whoever replays them goes by numbers without a gap. The state's text is made here, at the commit, so that
 * turns in between cost none.
 */
import type {
  CallRecord,
  HistoryItem,
  JournalEntry,
  NumberedCall,
  StoredOutcome,
  Trail,
  Visitor,
} from '../storage/contract.ts';
import type { Activation } from './activation.ts';
import type { NumberedClient } from './numbered.ts';

/** Up to this size a state is written whole, without looking at patches: making its text costs less than comparing. */
export const smallStateChars = 512;

type Visit = Trail['visits'][number];

export class Staged {
  readonly calls: CallRecord[] = [];
  changed = false;
  /** A JSON array per turn, oldest first; undefined when a turn made none because the state is written whole. */
  #patches: string[] | undefined = [];
  #patchChars = 0;
  /** Patches that subscribers may ask for later. */
  #kept: HistoryItem[] | undefined;
  #events: HistoryItem[] | undefined;
  #visits: Visit[] | undefined;
  #numbered: Map<NumberedClient, NumberedCall[]> | undefined;

  /** `patchText` is a JSON array, '' when the turn did not make one. `keep`: the number to keep it under, 0 for not at all. */
  change(patchText: string, keep: number): void {
    this.changed = true;
    if (patchText === '') this.#patches = undefined;
    this.#patches?.push(patchText);
    this.#patchChars += patchText.length;
    if (keep > 0) (this.#kept ??= []).push({ seq: keep, text: patchText });
  }

  endNumbered(client: NumberedClient, n: number, outcome: StoredOutcome, atMs: number): void {
    this.#numbered ??= new Map();
    const calls = this.#numbered.get(client);
    if (calls === undefined) this.#numbered.set(client, [{ n, outcome, atMs }]);
    else calls.push({ n, outcome, atMs });
  }

  keepEvent(event: HistoryItem): void {
    (this.#events ??= []).push(event);
  }

  /** `n`: the actor's visits are counted. */
  enter(n: number, visitor: Visitor): void {
    (this.#visits ??= []).push({ kind: 'in', n, visitor });
  }

  leave(n: number, clientId: string): void {
    (this.#visits ??= []).push({ kind: 'out', n, clientId });
  }

  /** Adds what the journal keeps of this actor. */
  addEntries(activation: Activation, entries: JournalEntry[]): void {
    const { address, seq, definition } = activation;
    const { version } = definition;
    const [call, ...calls] = this.calls;
    if (!this.changed) {
      const trail = this.#trail(activation, []);
      if (call !== undefined || trail !== undefined)
        entries.push({ address, seq, version, change: { kind: 'none' }, call, trail });
    } else if (this.#patches === undefined || activation.writesWhole(this.#patchChars)) {
      const trail = this.#trail(activation, this.#kept ?? []);
      entries.push({ address, seq, version, change: { kind: 'state', text: activation.text() }, call, trail });
    } else {
      this.#addPatches(activation, entries, call);
    }
    for (const further of calls) {
      entries.push({ address, seq, version, change: { kind: 'none' }, call: further, trail: undefined });
    }
  }

  #addPatches(activation: Activation, entries: JournalEntry[], call: CallRecord | undefined): void {
    const { address, seq, definition } = activation;
    const patches = this.#patches!;
    const keptFrom = this.#kept?.[0]?.seq ?? Number.POSITIVE_INFINITY;
    for (const [at, text] of patches.entries()) {
      const turn = seq - patches.length + at + 1;
      const own = turn >= keptFrom ? 'own' : [];
      entries.push({
        address,
        seq: turn,
        version: definition.version,
        change: { kind: 'patches', text },
        call: turn === seq ? call : undefined,
        trail: turn === seq ? this.#trail(activation, own) : trailOf(own),
      });
    }
  }

  #trail({ definition }: Activation, patches: Trail['patches']): Trail | undefined {
    const numbered = this.#numbered;
    if (numbered === undefined && this.#events === undefined && this.#visits === undefined) return trailOf(patches);
    return {
      numbered: numbered === undefined ? [] : Array.from(numbered, numberedOf),
      visits: this.#visits ?? [],
      patches,
      events: this.#events ?? [],
      eventsMax: definition.historyEventsMax,
    };
  }
}

function trailOf(patches: Trail['patches']): Trail | undefined {
  return patches.length === 0 ? undefined : { numbered: [], visits: [], patches, events: [], eventsMax: 0 };
}

/** What the client has by now need not be written. */
function numberedOf([{ name, ack }, calls]: [NumberedClient, NumberedCall[]]): Trail['numbered'][number] {
  return { client: name, ack, calls: calls.filter(({ n }) => n > ack) };
}
