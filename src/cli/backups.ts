/**
 * Backups and restored tenants, over whoever keeps the tenants' files: the keeper thread of a server, or a keeper in this
 * thread for a directory that no server uses. One operation at a time; the others wait.
 */
import { rmSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { BaseMaker, type BaseSource, type MadeBase } from '../backup/base-maker.ts';
import { directoryTarget } from '../backup/directory-target.ts';
import { baseTime } from '../backup/names.ts';
import { BackupSchedule } from '../backup/schedule.ts';
import { VerifyPool } from '../backup/verify-pool.ts';
import { systemClock } from '../host/clock.ts';
import type { Config } from '../host/config.ts';
import type { Logger } from '../host/log.ts';
import { OperationError } from '../storage/operation-error.ts';
import { sqliteVersion } from '../storage/sqlite.ts';
import type { Exchanged, ExchangeRequest } from '../storage/tenant-exchange.ts';
import type {
  BackupProgress,
  BackupRequest,
  BackupResult,
  DataOperations,
  SwapRequest,
  SwapResult,
} from './data-operations.ts';
import { version } from './version.ts';

/** The keeper, as far as backups need it. */
export interface BackupKeeper extends BaseSource {
  exchange(request: Omit<ExchangeRequest, 'shards'>): Promise<Exchanged>;
  /** Ends copies that are under way. */
  stopCopies(): Promise<void>;
  /** Wakes actors of restored tenants whose visitors are gone. */
  closeStale(): Promise<void>;
}

export interface BackupsParts {
  readonly keeper: BackupKeeper;
  readonly config: Config;
  readonly log: Logger;
  /** Whether committed entries go to the configured target all the time. */
  readonly archives: boolean;
}

export class Backups implements DataOperations {
  readonly schedule: BackupSchedule | undefined;
  readonly #parts: BackupsParts;
  readonly #verify = new VerifyPool();
  readonly #maker: BaseMaker;
  #last: Promise<unknown> = Promise.resolve();
  #makers = 0;

  constructor(parts: BackupsParts) {
    this.#parts = parts;
    const { config, log, keeper } = parts;
    // What a killed process left.
    rmSync(workDirOf(config), { recursive: true, force: true });
    this.#maker = this.#makerFor(resolve(config.backup.dir));
    const { intervalMs } = config.backup;
    if (intervalMs === undefined) return;
    this.schedule = new BackupSchedule({
      intervalMs,
      newest: () => newestBase(resolve(config.backup.dir)),
      tenants: () => keeper.tenants(),
      make: (tenant) => this.#alone(() => this.#maker.make(tenant, 'changed')),
      clock: systemClock,
      log,
    });
  }

  async backup(
    { tenant, to }: BackupRequest,
    progress: (p: BackupProgress) => void,
    gone?: AbortSignal,
  ): Promise<readonly BackupResult[]> {
    const target = resolve(to ?? this.#parts.config.backup.dir);
    const isConfigured = target === resolve(this.#parts.config.backup.dir);
    const maker = isConfigured ? this.#maker : this.#makerFor(target);
    const tenants = tenant === undefined ? await this.#parts.keeper.tenants() : [tenant];
    const results: BackupResult[] = [];
    try {
      for (const [index, each] of tenants.entries()) {
        if (gone?.aborted === true) break;
        const told = (pages: number, pagesTotal: number): void =>
          progress({
            tenant: each,
            at: index + 1,
            of: tenants.length,
            bytes: pages * pageBytes,
            bytesTotal: pagesTotal * pageBytes,
          });
        results.push(await this.#result(each, target, () => maker.make(each, 'asked', told)));
      }
    } finally {
      if (!isConfigured) maker.close();
    }
    return results;
  }

  async swap({ tenant, file, replace, actor }: SwapRequest): Promise<SwapResult> {
    const from = dirname(dirname(dirname(resolve(file))));
    if (relative(from, resolve(file)) !== join('tenants', tenant, 'tenant.db'))
      throw new OperationError(`${file} is no file of tenant "${tenant}"`);
    const { keeper, config } = this.#parts;
    const { movedTo } = await this.#alone(() =>
      keeper.exchange({ tenant, from, replace, ...(actor === undefined ? {} : { actor }) }),
    );
    await keeper.closeStale();
    await this.#baseOfRestored(tenant);
    return movedTo === undefined ? {} : { movedTo: resolve(config.dataDir, movedTo) };
  }

  /** What is under way is given up. */
  async close(): Promise<void> {
    const stopped = this.schedule?.stop();
    await this.#parts.keeper.stopCopies();
    await this.#verify.close();
    await stopped;
    await this.#last;
    rmSync(workDirOf(this.#parts.config), { recursive: true, force: true });
  }

  /** The log begins anew with what was restored, and is no use without a base. */
  async #baseOfRestored(tenant: string): Promise<void> {
    const { archives, log } = this.#parts;
    if (!archives) return;
    try {
      await this.#alone(() => this.#maker.make(tenant, 'restored'));
    } catch (error) {
      log.error({ tenant, err: error }, 'a restored tenant could not be backed up; the next round tries again');
    }
  }

  async #result(tenant: string, target: string, make: () => Promise<MadeBase | undefined>): Promise<BackupResult> {
    try {
      const { base, bytes, actors, ms, longestPauseMs } = (await this.#alone(make))!;
      return { tenant, base: `${base}.db`, target, bytes, actors, ms, longestPauseMs: Math.round(longestPauseMs) };
    } catch (error) {
      return { tenant, error: error instanceof Error ? error.message : String(error) };
    }
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }

  #makerFor(target: string): BaseMaker {
    const { keeper, config, log, archives } = this.#parts;
    const isConfigured = target === resolve(config.backup.dir);
    this.#makers += 1;
    return new BaseMaker({
      source: keeper,
      archives: isConfigured && archives,
      target: directoryTarget(target),
      workDir: join(workDirOf(config), String(this.#makers)),
      verify: (path, tenant) => this.#verify.verify(path, tenant),
      versions: { fermata: version(), sqlite: sqliteVersion() },
      keep: isConfigured && config.backup.intervalMs !== undefined ? config.backup.keep : undefined,
      log,
    });
  }
}

function workDirOf({ dataDir }: Config): string {
  return join(resolve(dataDir), 'backup-work');
}

/** Of SQLite, in every file of ours. */
const pageBytes = 4096;

async function newestBase(target: string): Promise<number | undefined> {
  const times = (await directoryTarget(target).list(''))
    .filter(({ name }) => name.endsWith('.json'))
    .map(({ name }) => baseTime(name));
  return times.length === 0 ? undefined : Math.max(...times);
}
