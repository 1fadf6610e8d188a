/**
 * A planted bug: the journal forgets each row with the next commit, whether or not its tenant file has it. The crash points
 * must find it.
 */
import type { JournalEntry, JournalRow } from '../../../src/storage/contract.ts';
import { Journal } from '../../../src/storage/journal.ts';

const commit = Journal.prototype.commit;

Journal.prototype.commit = function (entries: readonly JournalEntry[], durability): JournalRow {
  const row = commit.call(this, entries, durability);
  this.forget(row.journalSeq);
  return row;
};
