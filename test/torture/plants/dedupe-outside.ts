/**
 * A planted bug: outcomes of keyed calls are not in the transaction of their effect; they reach disk a quarter of a second
 * later, with the tenant file. The kill test must find it.
 */
import { Journal } from '../../../src/storage/journal.ts';
import { encodeEntries } from '../../../src/storage/entry.ts';
import type { JournalEntry, JournalRow } from '../../../src/storage/contract.ts';

const commit = Journal.prototype.commit;

Journal.prototype.commit = function (entries: readonly JournalEntry[], durability): JournalRow {
  const effects = entries.map((entry) => ({ ...entry, call: undefined }));
  const { journalSeq } = commit.call(this, effects, durability);
  return { journalSeq, body: encodeEntries(entries) };
};
