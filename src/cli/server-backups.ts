/** Backups of a running server: by the schedule, and for whoever asks over the admin socket. */
import type { LogOptions } from '../backup/open-log.ts';
import type { BackupHealth } from '../backup/schedule.ts';
import type { Config } from '../host/config.ts';
import type { Logger } from '../host/log.ts';
import type { Thread } from '../host/thread.ts';
import { startAdminSocket } from './admin-socket.ts';
import { Backups } from './backups.ts';
import type { BackupRequest, SwapRequest } from './data-operations.ts';
import { keeperOf } from './keeper-backups.ts';

/** Where the keeper archives what is committed: with a schedule only, because a log without bases is no use. */
export function archiveOf({ dataDir, backup, limits }: Config): LogOptions | undefined {
  if (backup.intervalMs === undefined) return undefined;
  const { archiveDelayMs: delayMs, archiveBufferBytesMax: waitingCharsMax } = limits;
  return { dataDir, dir: backup.dir, delayMs, waitingCharsMax };
}

export class ServerBackups {
  readonly #dataDir: string;
  readonly #backups: Backups;
  #closeSocket: (() => void) | undefined;

  constructor(config: Config, keeper: Thread, log: Logger) {
    const archives = config.backup.intervalMs !== undefined;
    this.#backups = new Backups({ keeper: keeperOf(keeper, config.shards), config, log, archives });
    this.#dataDir = config.dataDir;
  }

  /** Undefined when the server makes none by itself. */
  get health(): BackupHealth | undefined {
    return this.#backups.schedule?.health;
  }

  /** @throws Error when the admin socket cannot be opened */
  async start(): Promise<void> {
    // Both sides are of one version, so that a body is what the command made it.
    this.#closeSocket = await startAdminSocket(this.#dataDir, {
      backup: (body, progress, gone) => this.#backups.backup(body as BackupRequest, progress, gone),
      swap: (body) => this.#backups.swap(body as SwapRequest),
    });
    await this.#backups.schedule?.start();
  }

  async stop(): Promise<void> {
    this.#closeSocket?.();
    await this.#backups.close();
  }
}
