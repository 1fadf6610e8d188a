/** What the storage tests share: a directory that goes away, a clock that they own, and short ways to entries and keepers. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type Clock, systemClock } from '../../src/host/clock.ts';
import { createLog } from '../../src/host/log.ts';
import type { Address } from '../../src/protocol/address.ts';
import { defaultLimits, type Limits } from '../../src/protocol/limits.ts';
import type {
  CallRecord,
  JournalEntry,
  StateChange,
  StoredOutcome,
  Trail,
  Visitor,
} from '../../src/storage/contract.ts';
import { Journal } from '../../src/storage/journal.ts';
import { KeeperCore } from '../../src/storage/keeper.ts';
import { journalPath } from '../../src/storage/paths.ts';

export const silentLog = createLog({ level: 'silent', pretty: false }, 'test');

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'fermata-storage-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function clockAt(startMs: number): Clock & { nowMs: number } {
  return {
    ...systemClock,
    nowMs: startMs,
    now() {
      return this.nowMs;
    },
  };
}

/** Seconds pass when the test says so. */
export function steppedClock(): Clock & { passS(seconds: number): void } {
  let passedMs = 0;
  return {
    ...systemClock,
    monotonic: () => passedMs,
    passS(seconds) {
      passedMs += seconds * 1000;
    },
  };
}

/** A keeper that writes only when it is told to. */
export function openCore(
  dataDir: string,
  limits: Partial<Limits> = {},
  clock: Clock = systemClock,
  boot = 'boot-1',
): KeeperCore {
  const core = new KeeperCore({
    dataDir,
    limits: { ...defaultLimits, keeperDelayMs: 3_600_000, ...limits },
    log: silentLog,
    clock,
    boot,
  });
  onTestFinished(() => void core.close());
  return core;
}

export function openJournal(dataDir: string, shard = 0): Journal {
  const journal = Journal.open(journalPath(dataDir, shard));
  onTestFinished(() => journal.abandon());
  return journal;
}

export function address(id: string, tenant = 'acme', type = 'counter'): Address {
  return { tenant, type, id };
}

export function stateEntry(at: Address, seq: number, state: unknown, call?: CallRecord): JournalEntry {
  return entryOf(at, seq, { kind: 'state', text: JSON.stringify(state) }, call);
}

export function patchEntry(at: Address, seq: number, patches: unknown[], call?: CallRecord): JournalEntry {
  return entryOf(at, seq, { kind: 'patches', text: JSON.stringify(patches) }, call);
}

export function callEntry(at: Address, seq: number, call: CallRecord): JournalEntry {
  return entryOf(at, seq, { kind: 'none' }, call);
}

function entryOf(at: Address, seq: number, change: StateChange, call: CallRecord | undefined): JournalEntry {
  return { address: at, seq, version: 1, change, call, trail: undefined };
}

/** An entry without a change, or another's with the trail added. */
export function trailEntry(at: Address, seq: number, trail: Partial<Trail>, entry?: JournalEntry): JournalEntry {
  const whole = { numbered: [], visits: [], patches: [], events: [], eventsMax: 0, ...trail };
  return { ...(entry ?? entryOf(at, seq, { kind: 'none' }, undefined)), trail: whole };
}

export function visitorOf(clientId: string): Visitor {
  return { clientId, sessionId: `session of ${clientId}`, userId: null, claims: { role: 'guest' } };
}

export function ok(result: unknown): StoredOutcome {
  return { kind: 'ok', result: JSON.stringify(result) };
}

export function okCall(key: string, result: unknown, atMs = Date.now()): CallRecord {
  return { key, args: `hash of ${key}`, outcome: { kind: 'ok', result: JSON.stringify(result) }, atMs };
}

/** The state as a value. */
export function stateOf(core: KeeperCore, at: Address): unknown {
  const { state } = core.load(at);
  return state === undefined ? undefined : JSON.parse(state);
}

/** Code of the error that a function throws; undefined when it throws none. */
export function codeOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}
