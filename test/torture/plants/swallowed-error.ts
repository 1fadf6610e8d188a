/**
 * A planted bug: a commit that failed is called one that worked. The faults of the disk must find it.
 */
import type { JournalEntry, JournalRow } from '../../../src/storage/contract.ts';
import { encodeEntries } from '../../../src/storage/entry.ts';
import { Journal } from '../../../src/storage/journal.ts';

const commit = Journal.prototype.commit;

Journal.prototype.commit = function (entries: readonly JournalEntry[], durability): JournalRow {
  try {
    return commit.call(this, entries, durability);
  } catch {
    return { journalSeq: this.lastSeq, body: encodeEntries(entries) };
  }
};
