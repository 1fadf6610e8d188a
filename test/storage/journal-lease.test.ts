/** The journal's guard: a lease that is over before a commit, and one that ends while it is under way. */
import { expect, test } from 'vitest';
import { Journal } from '../../src/storage/journal.ts';
import { journalPath } from '../../src/storage/paths.ts';
import { CommitError } from '../../src/storage/transaction.ts';
import { address, stateEntry, temporaryDirectory } from './fixtures.ts';

function outcomeOf(work: () => unknown): string {
  try {
    work();
    return 'done';
  } catch (error) {
    return error instanceof CommitError ? error.outcome : String(error);
  }
}

test('without the lease nothing is written, and the connection stays fine', () => {
  const lease = { held: true };
  const journal = Journal.open(journalPath(temporaryDirectory(), 0), 0, undefined, lease);
  journal.commit([stateEntry(address('a'), 1, { n: 1 })], 'durable');
  lease.held = false;
  expect(outcomeOf(() => journal.commit([stateEntry(address('a'), 2, { n: 2 })], 'durable'))).toBe('rolled-back');
  expect(outcomeOf(() => journal.commit([stateEntry(address('a'), 2, { n: 2 })], 'process'))).toBe('rolled-back');
  expect(outcomeOf(() => journal.probe())).toBe('rolled-back');
  expect(journal.rowsAfter(0)).toHaveLength(1);
  lease.held = true;
  expect(journal.commit([stateEntry(address('a'), 2, { n: 2 })], 'durable').journalSeq).toBe(2);
  journal.close();
});

test.each(['durable', 'process'] as const)(
  'a %s commit that outlasts the lease ends unknown, and is there',
  (durability) => {
    let looks = 0;
    const lease = {
      get held() {
        looks += 1;
        return looks < 2;
      },
    };
    const journal = Journal.open(journalPath(temporaryDirectory(), 0), 0, undefined, lease);
    expect(outcomeOf(() => journal.commit([stateEntry(address('a'), 1, { n: 1 })], durability))).toBe('unknown');
    // Nothing works until somebody has looked at what is there.
    expect(outcomeOf(() => journal.probe())).toBe('rolled-back');
    expect(journal.reopen().map((row) => row.journalSeq)).toEqual([1]);
    journal.close();
  },
);

test('a journal whose lease is over still deletes what is safe elsewhere, and closes', () => {
  const lease = { held: true };
  const path = journalPath(temporaryDirectory(), 0);
  const journal = Journal.open(path, 0, undefined, lease);
  journal.commit([stateEntry(address('a'), 1, { n: 1 })], 'durable');
  lease.held = false;
  journal.forget(1);
  journal.close();
  const later = Journal.open(path);
  expect(later.forgotten).toBe(1);
  later.close();
});
