/**
 * What happens before any shard starts: every journal that is found is read, checked, handed to the keeper and emptied.
 *
 * Journals of a former shard count are deleted once everything in them is in its tenant file. Nothing is emptied before
 * it was synced elsewhere, and applying twice changes nothing, so that this may be killed anywhere and started again.
 * All journals are handed over before the first tenant is written: an actor's entries may lie in two of them.
 * Where there is very much, or the disk refuses the writes, rows stay in their journal and pending in the keeper, and the start goes on.
 *
 * Damage: entries that fail their check close their actor off. Where nobody can tell whose entries they were, or SQLite
 * cannot read the file, every tenant is closed off and the file moved aside: acknowledged calls are missing, and an answer
 * from any tenant could be wrong.
 */
import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fsyncDirectory } from '../host/directory.ts';
import type { Logger } from '../host/log.ts';
import { isTenant } from '../protocol/address.ts';
import type { JournalRow } from './contract.ts';
import { Journal } from './journal.ts';
import { checkRow, type Damage, type StoredRow } from './journal-row.ts';
import type { KeeperCore } from './keeper.ts';
import { dataPaths, journalPath, look, makeDirectory } from './paths.ts';
import { tenantsInBytes } from './salvage.ts';
import { DamagedFileError, isDamage, removeDatabase } from './sqlite.ts';

/** Bounds the wait before a start is ready. What is not written by then is answered from memory and written behind. */
const flushMsMax = 1500;

/** Rows between two words about the progress. */
const progressRows = 256;

/** Whole rows, of all journals together. A row counts half when it was read and checked, and whole when it was handed over. */
export type RecoveryProgress = (rowsDone: number, rowsTotal: number) => void;

export interface Recovered {
  readonly rows: number;
  /** Actors that the rows were about. */
  readonly actors: number;
  readonly ms: number;
  /** Some of it is not in tenant files yet: there was much, or a disk refuses. It is safe in its journal, and being written. */
  readonly pending: boolean;
}

/** @throws NewerFileError, SqliteError when a journal can be neither read nor blamed: wrong rights, no memory, failing disk */
export function recover(
  dataDir: string,
  core: KeeperCore,
  shards: number,
  log: Logger,
  progress: RecoveryProgress = () => undefined,
): Recovered {
  const startedMs = performance.now();
  const { journal: directory } = dataPaths(dataDir);
  makeDirectory(directory);
  recallSpilled(dataDir, core, log);
  const numbers = findJournals(directory);
  const rowsTotal = countRows(dataDir, numbers);
  let halves = 0;
  const half = (): void => {
    halves += 1;
    if (halves % (2 * progressRows) === 0) progress(halves / 2, rowsTotal);
  };
  progress(0, rowsTotal);
  let rows = 0;
  for (const shard of numbers) rows += feed(dataDir, core, shard, log, half);
  progress(rows, rowsTotal);
  const actors = core.counts.pendingActors;
  const clean = core.flush(flushMsMax);
  for (const shard of numbers) empty(dataDir, core, shard, shard < shards);
  for (const shard of numbers) if (shard >= shards) emptyLater(dataDir, core, shard, log);
  return { rows, actors, ms: Math.round(performance.now() - startedMs), pending: !clean };
}

/**
 * For a shard whose thread died: hands over what its journal holds beyond the rows that the keeper got. The dead
 * thread's port must have closed; the new thread may start when this returns. The file is left as it is.
 */
export function recoverShard(dataDir: string, core: KeeperCore, shard: number, log: Logger): { rows: number } {
  const path = journalPath(dataDir, shard);
  const isThere = ['', '-wal', '-mark'].some((suffix) => look(path + suffix) !== undefined);
  return { rows: isThere ? feed(dataDir, core, shard, log) : 0 };
}

/** Numbers of the journals there, also of those that have lost their main file. Half-made ones are removed: they never held a row. */
function findJournals(directory: string): number[] {
  const numbers = new Set<number>();
  for (const name of readdirSync(directory)) {
    if (/^\d+\.db\.new$/.test(name)) removeDatabase(join(directory, name));
    else if (/^\d+\.db(-wal|-mark)?$/.test(name)) numbers.add(Number.parseInt(name, 10));
  }
  return [...numbers].sort((a, b) => a - b);
}

/** For the progress alone: what cannot be opened now is told when it is read. */
function countRows(dataDir: string, shards: readonly number[]): number {
  let rows = 0;
  for (const shard of shards) {
    try {
      const journal = Journal.open(journalPath(dataDir, shard));
      rows += journal.unsyncedRows;
      journal.abandon();
    } catch {
      // See above.
    }
  }
  return rows;
}

/** What tenants with a failing file had pending, and no journal has any more. */
function recallSpilled(dataDir: string, core: KeeperCore, log: Logger): void {
  try {
    core.recallSpilled();
  } catch (error) {
    if (!isDamage(error)) throw error;
    const path = dataPaths(dataDir).spilled;
    const reason = `${basename(path)} is damaged and held acknowledged calls: ${messageOf(error)}`;
    for (const tenant of new Set([...tenantsOf(dataDir), ...tenantsInBytes(path)]))
      core.quarantineTenant(tenant, reason);
    const movedTo = core.quarantineSpilled();
    log.error(
      { file: path, movedTo, reason },
      'spilled entries could not be read; every tenant is quarantined and the file moved aside',
    );
  }
}

/** `half` is called twice per row. @returns the number of rows handed over */
function feed(dataDir: string, core: KeeperCore, shard: number, log: Logger, half = (): void => undefined): number {
  const path = journalPath(dataDir, shard);
  let rows: CheckedRow[];
  try {
    rows = readAll(path, core, shard, log, half);
  } catch (error) {
    if (!isDamage(error)) throw error;
    const reason = `journal ${basename(path)} is damaged and held acknowledged calls: ${messageOf(error)}`;
    for (const tenant of new Set([...tenantsOf(dataDir), ...tenantsInBytes(path)]))
      core.quarantineTenant(tenant, reason);
    const movedTo = core.quarantineJournal(shard, path);
    log.error(
      { journal: path, movedTo, reason },
      'a journal could not be read; every tenant is quarantined and the file moved aside',
    );
    return 0;
  }
  for (const { damage, ...row } of rows) {
    core.committed(shard, row, damage);
    half();
  }
  return rows.length;
}

interface CheckedRow extends JournalRow {
  readonly damage: readonly Damage[];
}

function checked(stored: StoredRow): CheckedRow {
  const check = checkRow(stored);
  if (check.kind === 'unreadable')
    throw new DamagedFileError(`nobody can tell whose entries row ${stored.journalSeq} held`);
  const { kind: _, ...row } = check;
  return { journalSeq: stored.journalSeq, ...row };
}

/** All rows or none: a journal that is unreadable in one place is not half believed. */
function readAll(path: string, core: KeeperCore, shard: number, log: Logger, half: () => void): CheckedRow[] {
  const journal = Journal.open(path, core.received(shard));
  const rows: CheckedRow[] = [];
  try {
    journal.checkStructure();
    for (const row of journal.storedRows(core.received(shard))) {
      rows.push(checked(row));
      half();
    }
    // The keeper has them; but for a power cut before it writes, nothing is lost by it.
    const lost = journal.continueAfter(core.received(shard), core.synced(shard));
    if (lost > 0) log.error({ journal: path, lost }, 'a journal has lost its last rows; numbers go on after them');
  } catch (error) {
    journal.abandon();
    throw error;
  }
  journal.close();
  return rows;
}

function tenantsOf(dataDir: string): string[] {
  const { tenants } = dataPaths(dataDir);
  return look(tenants) === undefined ? [] : readdirSync(tenants).filter(isTenant);
}

/** Forgets what is in tenant files now; a journal that no shard owns any more goes when nothing is left in it. */
function empty(dataDir: string, core: KeeperCore, shard: number, keep: boolean): void {
  const path = journalPath(dataDir, shard);
  if (look(path) === undefined) return;
  const journal = Journal.open(path);
  journal.forget(core.synced(shard));
  const isEmpty = journal.unsyncedBytes === 0;
  journal.close();
  if (keep || !isEmpty) return;
  removeDatabase(path);
  fsyncDirectory(dirname(path));
}

/** No shard listens for a journal of a former count, so that this does. */
function emptyLater(dataDir: string, core: KeeperCore, shard: number, log: Logger): void {
  if (core.synced(shard) === core.received(shard)) return;
  const synced = (): void => {
    if (core.synced(shard) !== core.received(shard)) return;
    try {
      empty(dataDir, core, shard, false);
    } catch (error) {
      // Nothing is lost by it: the next start finds the same rows in their tenant files.
      log.warn({ err: error, shard }, 'the journal of a former shard could not be removed; the next start tries again');
    }
  };
  core.attach(shard, { synced });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
