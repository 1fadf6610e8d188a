/**
 * A planted bug: calls are acknowledged, and written 50 ms later. The kill test must find it.
 */
import { Journal } from '../../../src/storage/journal.ts';
import { encodeEntries } from '../../../src/storage/entry.ts';
import type { JournalEntry, JournalRow } from '../../../src/storage/contract.ts';

const commit = Journal.prototype.commit;
let waiting = 0;

Journal.prototype.commit = function (entries: readonly JournalEntry[], durability): JournalRow {
  waiting += 1;
  setTimeout(() => {
    waiting -= 1;
    commit.call(this, entries, durability);
  }, 50);
  return { journalSeq: this.lastSeq + waiting, body: encodeEntries(entries) };
};
