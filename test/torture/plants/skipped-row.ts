/**
 * A planted bug: one commit in twenty writes nothing and says that it did. The kill test must find it.
 */
import { Journal } from '../../../src/storage/journal.ts';
import { encodeEntries } from '../../../src/storage/entry.ts';
import type { JournalEntry, JournalRow } from '../../../src/storage/contract.ts';

const commit = Journal.prototype.commit;
let commits = 0;

Journal.prototype.commit = function (entries: readonly JournalEntry[], durability): JournalRow {
  commits += 1;
  // Under the number of a row that the keeper knows, so that it takes this one for a repeat.
  if (commits % 20 === 0) return { journalSeq: this.lastSeq, body: encodeEntries(entries) };
  return commit.call(this, entries, durability);
};
