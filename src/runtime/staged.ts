/**
 * What one batch holds of one actor: whether it changed, by which patches, and which calls with a key ended.
 *
 * An actor that made a hundred turns in a batch is written once, because the batch is kept or lost as a whole: the last
 * state when it is small, else the patches of all its turns in a row. The state's text is made here, at the commit, so
 * that turns in between cost none.
 */
import type { CallRecord, JournalEntry } from '../storage/contract.ts';
import type { Activation } from './activation.ts';

/** Up to this size a state is written whole, without looking at patches: making its text costs less than comparing. */
export const smallStateChars = 512;

export class Staged {
  readonly calls: CallRecord[] = [];
  changed = false;
  /** Operations of all turns, joined by commas; undefined when a turn made none because the state is written whole. */
  #operations: string | undefined = '';

  /** `patchText` is a JSON array, '' when the turn did not make one. */
  change(patchText: string): void {
    this.changed = true;
    if (patchText === '') this.#operations = undefined;
    if (this.#operations === undefined) return;
    const operations = patchText.slice(1, -1);
    this.#operations = this.#operations === '' ? operations : `${this.#operations},${operations}`;
  }

  /** Adds what the journal keeps of this actor. */
  addEntries(activation: Activation, entries: JournalEntry[]): void {
    const { address, seq, definition } = activation;
    const { version } = definition;
    if (this.changed) {
      const operations = this.#operations;
      const whole = operations === undefined || activation.writesWhole(operations.length);
      const change = whole
        ? { kind: 'state' as const, text: activation.text() }
        : { kind: 'patches' as const, text: `[${operations}]` };
      entries.push({ address, seq, version, change, call: this.calls[0] });
    }
    for (const call of this.changed ? this.calls.slice(1) : this.calls)
      entries.push({ address, seq, version, change: { kind: 'none' }, call });
  }
}
