/**
 * What one batch holds of one actor: whether it changed, by which patches, and which calls with a key ended.
 *
 * An actor that made a hundred turns in a batch is written once when its state is small or less than its patches: the last
 * state stands for all, because the batch is kept or lost as a whole. Else each turn's patches are an entry with a number
 * of its own: whoever replays them goes by numbers without a gap. The state's text is made here, at the commit, so that
 * turns in between cost none.
 */
import type { CallRecord, JournalEntry } from '../storage/contract.ts';
import type { Activation } from './activation.ts';

/** Up to this size a state is written whole, without looking at patches: making its text costs less than comparing. */
export const smallStateChars = 512;

export class Staged {
  readonly calls: CallRecord[] = [];
  changed = false;
  /** A JSON array per turn, oldest first; undefined when a turn made none because the state is written whole. */
  #patches: string[] | undefined = [];
  #patchChars = 0;

  /** `patchText` is a JSON array, '' when the turn did not make one. */
  change(patchText: string): void {
    this.changed = true;
    if (patchText === '') this.#patches = undefined;
    this.#patches?.push(patchText);
    this.#patchChars += patchText.length;
  }

  /** Adds what the journal keeps of this actor. */
  addEntries(activation: Activation, entries: JournalEntry[]): void {
    const { address, seq, definition } = activation;
    const { version } = definition;
    if (this.changed) {
      const [call] = this.calls;
      if (this.#patches === undefined || activation.writesWhole(this.#patchChars)) {
        entries.push({ address, seq, version, change: { kind: 'state', text: activation.text() }, call });
      } else {
        const before = seq - this.#patches.length;
        for (const [at, text] of this.#patches.entries()) {
          const turn = before + at + 1;
          entries.push({
            address,
            seq: turn,
            version,
            change: { kind: 'patches', text },
            call: turn === seq ? call : undefined,
          });
        }
      }
    }
    for (const call of this.changed ? this.calls.slice(1) : this.calls)
      entries.push({ address, seq, version, change: { kind: 'none' }, call });
  }
}
