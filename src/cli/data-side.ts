/**
 * The side of a server that keeps the data: directory, keeper, shards, backups. In one process the gateways hand it their
 * calls; in a runtime the bridge does.
 *
 * Its methods are rows of the list in serve.ts, start and stop, in the order in which they stand here.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { BackupHealth } from '../backup/schedule.ts';
import type { Lease } from '../host/lease.ts';
import { Progress } from '../host/progress.ts';
import { Thread } from '../host/thread.ts';
import type { LoadedType } from '../runtime/shard-thread.ts';
import { DataDirLock } from '../storage/lock.ts';
import { CrashCount } from './crash-count.ts';
import { exitCodes } from './exit-codes.ts';
import { Impairment } from './impairment.ts';
import { reportRecovery } from './recovery-report.ts';
import { archiveOf, ServerBackups } from './server-backups.ts';
import { type Fronts, type ServerParts, watchVital } from './server-parts.ts';
import { SessionRecords } from './session-records.ts';
import { Shards } from './shards.ts';
import { startError, unusableData } from './start-error.ts';
import { Watchdog } from './watchdog.ts';

export interface DataSideParts extends ServerParts {
  readonly fronts: () => Fronts;
  /** Ends the process when a shard cannot be ended. */
  readonly giveUp: () => void;
  /** The right to commit, when it is the cluster's to give. */
  readonly lease: Lease | undefined;
}

export class DataSide {
  readonly crashes: CrashCount;
  /** A call to try, once the app is loaded. */
  sample: LoadedType | undefined;
  readonly #parts: DataSideParts;
  readonly #impairment: Impairment;
  readonly #recovery = new Progress();
  readonly #watchdog: Watchdog;
  #shards: Shards | undefined;
  #keeper: Thread | undefined;
  #sessions: SessionRecords | undefined;
  #backups: ServerBackups | undefined;
  #lock: DataDirLock | undefined;

  constructor(parts: DataSideParts) {
    const { config, log, phase, fronts, giveUp } = parts;
    this.#parts = parts;
    this.#impairment = new Impairment(phase);
    this.crashes = new CrashCount(config.dataDir, log, (calls) => {
      fronts()
        .ask('setPoison', calls)
        .catch((error: unknown) => log.error({ err: error }, 'calls could not be quarantined'));
    });
    this.#watchdog = new Watchdog(log, giveUp);
  }

  get keeper(): Thread {
    return this.#keeper!;
  }

  /** As they are now. */
  get threads(): readonly Thread[] {
    return [...this.#shards!.threads, this.#keeper!];
  }

  /** Undefined when the server makes no backups by itself. */
  get backupHealth(): BackupHealth | undefined {
    return this.#backups?.health;
  }

  lockDirectory(): void {
    try {
      this.#lock = DataDirLock.acquire(this.#parts.config.dataDir);
    } catch (error) {
      throw startError(error, exitCodes.dataDirUnavailable);
    }
  }

  /** `toFronts[s]` are shard s's ends of its cables to the fronts. */
  spawn(toFronts: readonly MessagePort[][]): void {
    const { config, log, logOptions, boot, restarts, stopping, fronts, lease } = this.#parts;
    const { dataDir, limits } = config;
    const cables = Array.from({ length: config.shards }, () => new MessageChannel());
    const ports = cables.map((channel) => channel.port1);
    const progress = this.#recovery.memory;
    const keeper = { dataDir, limits, boot, ports, progress, archive: archiveOf(config), log: logOptions };
    this.#keeper = watchVital(new Thread('keeper', 'keeper', keeper, ports), this.#parts, exitCodes.internal);
    this.#shards = new Shards(
      {
        config,
        logOptions,
        log,
        lease,
        keeper: this.#keeper,
        gateways: () => fronts().threads,
        restarts,
        watchdog: this.#watchdog,
        crashes: this.crashes,
        stopping,
        onAway: (away) => this.#impairment.setAway(away),
      },
      toFronts,
      cables.map((channel) => channel.port2),
    );
  }

  async loadApp(): Promise<void> {
    try {
      const [loaded = []] = await this.#shards!.ask<LoadedType[]>('load');
      this.sample = loaded.find(({ method }) => method !== undefined);
      this.#parts.log.info({ app: this.#parts.config.app, actors: loaded.map(({ type }) => type) }, 'app loaded');
    } catch (error) {
      throw startError(error, exitCodes.noApp);
    }
  }

  async recover(): Promise<void> {
    const { config, log } = this.#parts;
    const screen = config.dev && process.stdout.isTTY ? process.stdout : undefined;
    const endReport = reportRecovery(this.#recovery, log, screen);
    try {
      const recovered = await this.#keeper!.ask<Record<string, unknown>>('recover', { shards: config.shards });
      endReport();
      log.info(recovered, 'journals replayed');
    } catch (error) {
      throw unusableData(error, config.dataDir);
    } finally {
      endReport();
    }
  }

  async startShards(): Promise<void> {
    try {
      this.crashes.start();
      await this.#shards!.ask('start');
      this.#shards!.watch();
    } catch (error) {
      throw unusableData(error, this.#parts.config.dataDir);
    }
  }

  /**
   * Who was connected when a former process ended is told goodbye in the background. Not where sessions are other processes'
   * and may live: then each slot sees to it when it is served (`SlotMoves`).
   */
  async startSessions(closesStale: boolean): Promise<void> {
    this.#sessions = new SessionRecords(this.#parts.fronts(), this.#keeper!, this.#parts.log);
    this.#sessions.start();
    if (closesStale) await this.#keeper!.ask('closeStale', { shards: this.#parts.config.shards });
  }

  async startBackups(): Promise<void> {
    this.#backups = new ServerBackups(this.#parts.config, this.#keeper!, this.#parts.log);
    await this.#backups.start();
  }

  /** A front was started anew: it gets cables to every shard. */
  async connectFront(front: number, ports: readonly MessagePort[]): Promise<void> {
    await this.#shards!.connectGateway(front, ports);
  }

  /** And has to know what the others know. */
  async introduce(front: Thread): Promise<void> {
    await front.ask('setPoison', this.crashes.fingerprints);
    for (const shard of this.#shards!.away) await front.ask('shardLost', { shard, call: 0 });
  }

  /** A front died, and its sessions with it. */
  frontLost(front: number): void {
    this.#sessions?.lost(front);
  }

  // The stop.

  async drain(): Promise<void> {
    await this.#shards!.ask('drain');
  }

  async stopBackups(): Promise<void> {
    await this.#backups?.stop();
  }

  async stopSessions(): Promise<void> {
    await this.#sessions?.stop();
  }

  /** Actors leave memory, tenant files catch up, and only then the journals close: the next start has nothing to replay. */
  async stopShards(): Promise<void> {
    this.crashes.stop();
    await this.#shards!.ask('deactivate');
    await this.#keeper!.ask('flush');
    await this.#shards!.ask('stop');
  }

  async stopKeeper(): Promise<void> {
    await this.#keeper?.ask('stop');
  }

  async terminate(): Promise<void> {
    this.#watchdog.stop();
    this.#impairment.stop();
    await Promise.all([this.#shards?.terminate(), this.#keeper?.terminate()]);
  }

  unlockDirectory(): void {
    this.#lock?.release();
  }
}
