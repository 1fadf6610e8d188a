/**
 * Builds a tenant as a plan says, in a small data directory of its own: the base's file, and the log on top, through the same
 * keeper that a server has, so that both mean the same by an entry.
 *
 *     base ─▶ SHA-256 ─▶ tenants/<tenant>/tenant.db ─▶ a new epoch ─▶ records by then ─▶ keeper ─▶ close ─▶ verified
 *
 * Invariants: nothing outside the directory changes, and after an error it is gone · nobody's clients resume from numbers
 * of another line of history, hence the epoch · entries may come twice and out of order, so that much is taken in before
 * the keeper writes · what is old by the clock of `at` is not deleted here: the server that takes over knows its limits ·
 * blocks its thread for much of the time: for a process that does nothing else.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Clock, systemClock } from '../host/clock.ts';
import { fsyncDirectory } from '../host/directory.ts';
import type { Logger } from '../host/log.ts';
import { defaultLimits, type Limits } from '../protocol/limits.ts';
import type { ClosedActor } from '../storage/closed-table.ts';
import { copyActors } from '../storage/copy-actor.ts';
import { KeeperCore } from '../storage/keeper.ts';
import { NewerFileError } from '../storage/migrations.ts';
import { look, makeDirectory, tenantDirectory } from '../storage/paths.ts';
import { isDamage } from '../storage/sqlite.ts';
import { TenantFile } from '../storage/tenant-file.ts';
import { digest } from './digest.ts';
import { DamagedBackupError, RestoreRefusal } from './errors.ts';
import { readObject } from './log-chain.ts';
import { segmentNumber } from './names.ts';
import type { PlannedBase, RestorePlan } from './restore-plan.ts';
import type { SegmentRecord } from './segment.ts';
import type { BackupTarget } from './target.ts';
import { type BaseFacts, checkDigest, verifyBase } from './verify.ts';

export interface Built extends BaseFacts {
  readonly tenant: string;
  /** The tenant's file. It is closed, and nothing lies beside it. */
  readonly path: string;
  /** Actors that are closed off, in the base already or because the log does not fit them. */
  readonly quarantined: readonly ClosedActor[];
}

const rowEntriesMax = 500;
/** Characters that the keeper takes in before it writes: more than journals hold, whose rows may be archived out of order. */
const pendingCharsMax = 64 * 1024 * 1024;
/** Actors that one transaction copies. */
const copiedAtOnce = 500;

/** `directory` must not exist; `limits` as those of the server. @throws RestoreRefusal, DamagedBackupError, MissingBackupError */
export async function buildTenant(
  target: BackupTarget,
  plan: RestorePlan,
  directory: string,
  log: Logger,
  limits: Limits = defaultLimits,
): Promise<Built> {
  if (look(directory) !== undefined)
    throw new RestoreRefusal(`${directory} is there already`, 'A tenant is built in a directory of its own.');
  makeDirectory(dirname(directory));
  mkdirSync(directory, { mode: 0o700 });
  try {
    const clock: Clock = { ...systemClock, now: () => plan.atMs ?? Date.now() };
    if (plan.base !== undefined) await putBase(target, plan.tenant, plan.base, directory, clock);
    await putRecords(target, plan, directory, log, limits, clock);
    return finish(directory, plan.tenant);
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Gives a built tenant another name: a new file with every actor of the old one, which goes. Records of sessions stay behind.
 * @throws RestoreRefusal, Error
 */
export async function renameTenant(directory: string, from: string, to: string): Promise<Built> {
  if (look(tenantDirectory(directory, to)) !== undefined)
    throw new RestoreRefusal(`there is a tenant "${to}" in ${directory}`);
  const options = { nowMs: systemClock.now(), boot: systemClock.id() };
  const old = TenantFile.open(directory, from, { ...options, create: false });
  if (old === undefined) throw new RestoreRefusal(`there is no tenant "${from}" in ${directory}`);
  try {
    const made = TenantFile.open(directory, to, { ...options, create: true })!;
    try {
      copyAll(old, made, options.nowMs);
    } finally {
      made.close();
    }
  } finally {
    old.close();
  }
  rmSync(tenantDirectory(directory, from), { recursive: true });
  return finish(directory, to);
}

async function putBase(
  target: BackupTarget,
  tenant: string,
  { name, manifest }: PlannedBase,
  directory: string,
  clock: Clock,
): Promise<void> {
  const path = fileOf(directory, tenant);
  makeDirectory(dirname(path));
  await target.get(name, path);
  checkDigest(await digest(path), manifest, tenant, name);
  try {
    const file = TenantFile.open(directory, tenant, { create: false, nowMs: clock.now(), boot: clock.id() })!;
    try {
      file.setEpoch(clock.id());
    } finally {
      file.close();
    }
  } catch (error) {
    const text = (error instanceof Error ? error.message : String(error)).replaceAll(path, name);
    if (error instanceof NewerFileError) throw new RestoreRefusal(text, undefined, { cause: error });
    if (isDamage(error)) throw new DamagedBackupError(name, `cannot be restored: ${text}`, { cause: error });
    throw error;
  }
}

async function putRecords(
  target: BackupTarget,
  plan: RestorePlan,
  directory: string,
  log: Logger,
  limits: Limits,
  clock: Clock,
): Promise<void> {
  const { tenant, segments, atMs = Infinity } = plan;
  const core = new KeeperCore({
    dataDir: directory,
    // It writes when it is told to, and deletes nothing for its age.
    limits: {
      ...limits,
      keeperDelayMs: 24 * 60 * 60 * 1000,
      journalBytesMax: Number.MAX_SAFE_INTEGER,
      outcomeMs: Number.MAX_SAFE_INTEGER,
      sessionRecordMs: Number.MAX_SAFE_INTEGER,
    },
    log,
    clock,
    boot: clock.id(),
  });
  const write = (): void => {
    if (!core.flush())
      throw new Error(`${fileOf(directory, tenant)} cannot be written; the disk may be full, and the log says more`);
  };
  try {
    let [journalSeq, chars] = [0, 0];
    for (const name of segments) {
      const segment = await readObject(target, tenant, segmentNumber(name), name);
      for (const body of rowsOf(segment?.records ?? [], atMs)) {
        core.committed(0, { journalSeq: (journalSeq += 1), body });
        chars += body.length;
        if (chars < pendingCharsMax) continue;
        write();
        chars = 0;
      }
    }
    write();
  } finally {
    core.close();
  }
}

/** Bodies of journal rows. */
function* rowsOf(records: readonly SegmentRecord[], atMs: number): Generator<string> {
  const entries = records.filter((record) => record.atMs <= atMs).map(({ entry }) => entry);
  for (let at = 0; at < entries.length; at += rowEntriesMax) yield entries.slice(at, at + rowEntriesMax).join('\n');
}

function copyAll(from: TenantFile, to: TenantFile, nowMs: number): void {
  const closed = from.closed.list();
  const names = from.names().filter(({ type, id }) => from.closed.reason(type, id) === undefined);
  for (let at = 0; at < names.length; at += copiedAtOnce) copyActors(from, to, names.slice(at, at + copiedAtOnce));
  // What is theirs is not to be trusted; without a note they would start anew, as if they had never been.
  to.transact(() => {
    for (const actor of closed) to.closed.put(actor, nowMs);
  });
}

/** Proves the file, and takes away what its writers left beside it. */
function finish(directory: string, tenant: string): Built {
  const path = fileOf(directory, tenant);
  const quarantined = readClosed(directory, tenant);
  // It vouches for this file at this place: where the file goes, another may lie.
  rmSync(`${path}-mark`, { force: true });
  fsyncDirectory(dirname(path));
  return { ...verifyBase(path, tenant), tenant, path, quarantined };
}

function readClosed(directory: string, tenant: string): ClosedActor[] {
  const options = { create: false, nowMs: systemClock.now(), boot: systemClock.id() };
  const file = TenantFile.open(directory, tenant, options);
  if (file === undefined) throw new DamagedBackupError(fileOf(directory, tenant), 'was closed off while it was built');
  try {
    return file.closed.list().map(({ type, id, reason }) => ({ type, id, reason }));
  } finally {
    file.close();
  }
}

function fileOf(directory: string, tenant: string): string {
  return join(tenantDirectory(directory, tenant), 'tenant.db');
}
