/**
 * A copy of one tenant's file while the tenant is in service, by SQLite's backup on the writing connection: pages are copied
 * a few at a time, and what is written meanwhile goes into the copy as well.
 *
 * Invariants: the copy holds everything that was acknowledged before it began, because every shard is asked first for what
 * it has committed · it ends with a cut: whatever its content rests on is in it too (cut.ts) · it is a plain file without WAL, fsynced · the file stays open until the copy is done.
 */
import Database from 'better-sqlite3';
import { setTimeout as sleep } from 'node:timers/promises';
import { closeSync, fsyncSync, openSync, rmSync, statSync } from 'node:fs';
import type { Clock } from '../host/clock.ts';
import { OperationError } from './operation-error.ts';
import type { Archive } from './archive.ts';
import type { BegunCut, Cut } from './cut.ts';
import type { Pending } from './pending.ts';
import type { Quarantine } from './quarantine.ts';
import type { ShardListeners } from './shard-listeners.ts';
import type { TenantFiles } from './tenant-files.ts';

export interface TenantCopiesParts {
  readonly clock: Clock;
  readonly pending: Pending;
  readonly files: TenantFiles;
  readonly quarantine: Quarantine;
  readonly listeners: ShardListeners;
  readonly archive: Archive | undefined;
  readonly cut: Cut;
  readonly write: (tenant: string) => void;
}

export interface CopyRequest {
  readonly tenant: string;
  /** Where nothing lies yet. */
  readonly to: string;
  /** All of them must be in service. */
  readonly shards: number;
  /** The file's number of commits at which there is nothing new to copy. */
  readonly unless?: number;
  /** Whether the archived log goes on in a new segment, for a copy that it is to continue. */
  readonly beginSegment: boolean;
}

export type Copied =
  | { readonly kind: 'unchanged' }
  | {
      readonly kind: 'copied';
      /** Milliseconds since the epoch. Everything acknowledged before `beganMs` is in it, nothing after `finishedMs`. */
      readonly beganMs: number;
      readonly finishedMs: number;
      readonly bytes: number;
      /** The segment from which on the archived log has what the copy may lack. */
      readonly logFrom?: number | undefined;
      /** The longest time for which the keeper could answer nobody, milliseconds. */
      readonly longestPauseMs: number;
    };

/** About 1 MiB, which takes a few milliseconds. */
const pagesAtOnce = 256;
/** More than there can be. */
const allPages = 0x7fff_ffff;
/** A cut makes every port wait, so a shard that runs its own code for longer is not waited for: it is tried again later. */
const cutMsMax = 100;
const cutPauseMs = 100;
const cutTriesMax = 50;

export class TenantCopies {
  readonly #parts: TenantCopiesParts;
  #stopped = false;

  constructor(parts: TenantCopiesParts) {
    this.#parts = parts;
  }

  /** Ends those that are under way, and refuses others. */
  stop(): void {
    this.#stopped = true;
  }

  /** `progress` is called after each step. @throws OperationError, SqliteError */
  async copy(request: CopyRequest, progress: (pages: number, pagesTotal: number) => void): Promise<Copied> {
    const { tenant, to, shards, unless } = request;
    const { clock, files, quarantine, listeners, archive } = this.#parts;
    const beganMs = clock.now();
    await listeners.fence(shards, false);
    if (quarantine.reason(tenant) !== undefined)
      throw new OperationError(
        `tenant "${tenant}" is quarantined: there is nothing sound to copy`,
        'See: fermata quarantine list',
      );
    const pauses = new Pauses(clock);
    this.#catchUp(tenant);
    const file = files.open(tenant, { create: false, nowMs: beganMs });
    if (file === undefined) throw new OperationError(`there is no tenant "${tenant}"`, 'See: fermata inspect tenants');
    pauses.end();
    if (file.writes === unless) return { kind: 'unchanged' };
    files.pin(tenant);
    let logFrom: number | undefined;
    let cutting: Promise<void> | undefined;
    let cut: BegunCut | undefined;
    let failure: unknown;
    try {
      if (request.beginSegment) logFrom = await archive?.begin(tenant);
      pauses.begin();
      // What came meanwhile is in the segment before.
      this.#catchUp(tenant);
      await file.backup(to, (pages, total) => {
        pauses.end();
        if (this.#stopped) throw new OperationError('the server stops; the copy was given up');
        progress(pages, total);
        if (failure !== undefined) throw failure;
        pauses.begin();
        if (total - pages > pagesAtOnce) return pagesAtOnce;
        cutting ??= this.#cutOff(tenant, shards).then(
          (begun) => {
            cut = begun;
          },
          (error: unknown) => {
            failure = error;
          },
        );
        return cut === undefined ? 0 : allPages;
      });
    } catch (error) {
      rmSync(to, { force: true });
      throw error;
    } finally {
      await cutting;
      cut?.end();
      files.unpin(tenant);
    }
    const finishedMs = cut!.atMs;
    makePlain(to);
    return { kind: 'copied', beganMs, finishedMs, bytes: statSync(to).size, logFrom, longestPauseMs: pauses.longestMs };
  }

  /** Settles when the file holds what was committed by now, and nothing later until the cut ends. @throws OperationError */
  async #cutOff(tenant: string, shards: number): Promise<BegunCut> {
    const { cut, clock, listeners } = this.#parts;
    for (let tries = 1; ; tries += 1) {
      const begun = await cut.begin(clock.now);
      try {
        await listeners.fence(shards, false, true, cutMsMax);
        this.#catchUp(tenant);
        return begun;
      } catch (error) {
        begun.end();
        if (tries === cutTriesMax || this.#stopped) throw error;
      }
      await sleep(cutPauseMs);
    }
  }

  /** @throws OperationError when it cannot be written */
  #catchUp(tenant: string): void {
    this.#parts.write(tenant);
    if (!this.#parts.pending.tenants.has(tenant)) return;
    throw new OperationError(
      `the file of tenant "${tenant}" cannot be written now, so that a copy would be incomplete`,
      'The log says why.',
    );
  }
}

/** How long one step held the thread. */
class Pauses {
  longestMs = 0;
  readonly #clock: Clock;
  #beganMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#beganMs = clock.monotonic();
  }

  begin(): void {
    this.#beganMs = this.#clock.monotonic();
  }

  end(): void {
    this.longestMs = Math.max(this.longestMs, this.#clock.monotonic() - this.#beganMs);
  }
}

/** The copy says that it has a WAL, as the original does. A file that is kept should open without one, also read-only. */
function makePlain(path: string): void {
  const db = new Database(path, { fileMustExist: true });
  try {
    db.pragma('journal_mode = DELETE');
  } finally {
    db.close();
  }
  const file = openSync(path, 'r+');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
