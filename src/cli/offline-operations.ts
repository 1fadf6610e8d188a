/**
 * Backups and restores of a directory that no server uses: under its lock, after the journals were replayed as at a start.
 *
 * A log that is whole stays so: entries that only a journal had are archived first.
 */
import { resolve } from 'node:path';
import { archivedTo, openLog } from '../backup/open-log.ts';
import { systemClock } from '../host/clock.ts';
import type { Config } from '../host/config.ts';
import type { Logger } from '../host/log.ts';
import { listTenants } from '../storage/inspect.ts';
import { KeeperCore } from '../storage/keeper.ts';
import { DataDirLock } from '../storage/lock.ts';
import { recover } from '../storage/recovery.ts';
import { Backups } from './backups.ts';
import { CommandError } from './command-error.ts';
import type { OpenedOperations } from './data-operations.ts';
import { exitCodes } from './exit-codes.ts';

/** @throws CommandError, Error when the directory is in use or cannot be opened */
export async function openOffline(config: Config, log: Logger): Promise<OpenedOperations> {
  const lock = DataDirLock.acquire(config.dataDir);
  try {
    return await open(config, log, lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function open(config: Config, log: Logger, lock: DataDirLock): Promise<OpenedOperations> {
  const { dataDir, limits } = config;
  const dir = archivedTo(dataDir);
  const { archiveDelayMs: delayMs, archiveBufferBytesMax: waitingCharsMax } = limits;
  const archive = dir === undefined ? undefined : openLog({ dataDir, dir, delayMs, waitingCharsMax }, systemClock, log);
  const boot = systemClock.id();
  const parts = { dataDir, limits, log, clock: systemClock, boot };
  const core = new KeeperCore({ ...parts, ...(archive === undefined ? {} : { archive }) });
  const backups = new Backups({
    keeper: {
      tenants: async () => listTenants(dataDir).map(({ tenant }) => tenant),
      copy: (request, progress) => core.copies.copy({ ...request, shards: 0 }, progress),
      stopCopies: async () => core.copies.stop(),
      exchange: (request) => core.exchange.exchange({ ...request, shards: 0 }),
      // The next start looks for them.
      closeStale: async () => undefined,
    },
    config: { ...config, backup: { ...config.backup, intervalMs: undefined } },
    log,
    archives: dir === resolve(config.backup.dir),
  });
  const close = async (): Promise<void> => {
    await backups.close();
    await archive?.flush();
    core.close();
    lock.release();
  };
  try {
    recover(dataDir, core, 0, log);
    await archive?.flush();
    // Once more: journals are emptied of what is archived by now.
    const { pending } = recover(dataDir, core, 0, log);
    if (pending)
      throw new CommandError('not everything in the journals could be written to its tenant file', {
        exitCode: exitCodes.failed,
        hint: 'Free space on the disk, or mend its rights, and try again.',
      });
  } catch (error) {
    await close();
    throw error;
  }
  return {
    backup: (request, progress) => backups.backup(request, progress),
    swap: (request) => backups.swap(request),
    close,
  };
}
