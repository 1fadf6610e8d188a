/**
 * What storage does in its life, in one process and always in the same order: commits to two journals, tenant files written
 * behind them, outcomes purged, actors read back, journals reopened and emptied, a file brought to a newer format, a shard
 * less. Run under strace, which kills it at a chosen system call.
 *
 *   node crash-script.ts <data directory>     prints one line per acknowledged commit: its number
 *
 * The plan is data, so that whoever checks afterwards knows what each commit was.
 */
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Clock, systemClock } from '../../src/host/clock.ts';
import { createLog } from '../../src/host/log.ts';
import type { Address } from '../../src/protocol/address.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import type { JournalEntry } from '../../src/storage/contract.ts';
import { Journal } from '../../src/storage/journal.ts';
import { KeeperCore } from '../../src/storage/keeper.ts';
import { type Format, openFile } from '../../src/storage/migrations.ts';
import { journalPath } from '../../src/storage/paths.ts';
import { recover } from '../../src/storage/recovery.ts';

export const commits = 60;
const shards = 2;
const startMs = Date.UTC(2026, 0, 1);
/** Each commit is half an hour after the one before, so that the first outcomes are purged while this runs. */
const stepMs = 30 * 60_000;
const hundred = 'x'.repeat(100);

export interface PlannedCommit {
  readonly n: number;
  readonly shard: number;
  readonly address: Address;
  /** Number of the actor's state after it. */
  readonly seq: number;
  readonly entry: string;
  readonly atMs: number;
}

/** Four actors in two tenants; each is a list of what was appended to it. */
export function plan(): PlannedCommit[] {
  const seqs = new Map<string, number>();
  return Array.from({ length: commits }, (_, n) => {
    const actor = n % 4;
    const address = { tenant: actor < 2 ? 'acme' : 'bolt', type: 'list', id: `l${actor % 2}` };
    const name = `${address.tenant}/${address.id}`;
    const seq = (seqs.get(name) ?? 0) + 1;
    seqs.set(name, seq);
    return { n, shard: actor % shards, address, seq, entry: `${n} ${hundred}`, atMs: startMs + n * stepMs };
  });
}

export function keyOf(n: number): string {
  return `key ${n}`;
}

export function clockOf(now: () => number): Clock {
  return { ...systemClock, now };
}

export function openKeeper(dataDir: string, now: () => number): KeeperCore {
  const limits = { ...defaultLimits, keeperDelayMs: 3_600_000, tenantFilesOpenMax: 1 };
  const log = createLog({ level: 'silent', pretty: false }, 'keeper');
  return new KeeperCore({ dataDir, limits, log, clock: clockOf(now), boot: 'boot' });
}

const scratchFormat: Format = {
  name: 'scratch file',
  applicationId: 0x46725363,
  steps: ['CREATE TABLE kept (n INTEGER PRIMARY KEY) STRICT; INSERT INTO kept VALUES (1), (2), (3);'],
};

/** A file of two formats, for the step from one to the other. */
export const scratchFormats = {
  older: scratchFormat,
  newer: {
    ...scratchFormat,
    steps: [
      ...scratchFormat.steps,
      'CREATE TABLE moved (n INTEGER PRIMARY KEY, twice INTEGER NOT NULL) STRICT; INSERT INTO moved SELECT n, n * 2 FROM kept; DROP TABLE kept;',
    ],
  },
} as const;

export function scratchPath(dataDir: string): string {
  return join(dataDir, 'scratch.db');
}

async function live(dataDir: string): Promise<void> {
  let nowMs = startMs;
  const log = createLog({ level: 'silent', pretty: false }, 'recovery');
  const core = openKeeper(dataDir, () => nowMs);
  recover(dataDir, core, shards, log);
  const journals = Array.from({ length: shards }, (_, shard) => Journal.open(journalPath(dataDir, shard)));
  const ends = journals.map((_, shard) => core.attach(shard, { synced: (seq) => journals[shard]!.forget(seq) }));
  for (const { n, shard, address, seq, entry, atMs } of plan()) {
    nowMs = atMs;
    const change: JournalEntry['change'] =
      seq === 1
        ? { kind: 'state', text: JSON.stringify({ entries: [entry] }) }
        : { kind: 'patches', text: JSON.stringify([{ op: 'add', path: `/entries/${seq - 1}`, value: entry }]) };
    const call = { key: keyOf(n), args: 'args', outcome: { kind: 'ok', result: String(seq) }, atMs } as const;
    const row = journals[shard]!.commit(
      [{ address, seq, version: 1, change, call, trail: undefined }],
      n % 5 === 4 ? 'process' : 'durable',
    );
    writeSync(1, `${n}\n`);
    core.committed(shard, row);
    if (n % 6 === 5) core.flush();
    if (n % 7 === 6) for (const journal of journals) journal.flush();
    // As after an eviction: tenant files are opened in turn, since only one may be open.
    if (n % 9 === 8)
      for (const id of ['l0', 'l1']) for (const tenant of ['acme', 'bolt']) core.load({ tenant, type: 'list', id });
    if (n === 20) openFile(scratchPath(dataDir), scratchFormats.older, () => undefined)!.close();
    if (n === 25) openFile(scratchPath(dataDir), scratchFormats.newer)!.close();
    if (n % 15 === 14) for (const journal of journals) journal.reopen();
    // Lets timers run, for planted bugs that use them.
    await sleep(0);
  }
  core.flush();
  for (const journal of journals) journal.close();
  for (const end of ends) end();
  core.close();
  const last = openKeeper(dataDir, () => nowMs);
  recover(dataDir, last, 1, log);
  last.close();
}

const [, script, dataDir] = process.argv;
if (script === import.meta.filename && dataDir !== undefined) await live(dataDir);
