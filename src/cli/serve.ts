/**
 * `fermata serve`: the whole product in one process, as one list of steps. Read it downwards for the start, upwards for
 * the stop; the shares of time add up to nine tenths of the budget, so that the forced exit never cuts a stop that keeps
 * to them.
 *
 * Main only conducts: calls never pass through it.
 */
import { randomInt } from 'node:crypto';
import { MessageChannel } from 'node:worker_threads';
import { systemClock } from '../host/clock.ts';
import type { Config } from '../host/config.ts';
import { Lifecycle, type Step } from '../host/lifecycle.ts';
import type { Logger, LogOptions } from '../host/log.ts';
import { Phase } from '../host/phase.ts';
import { Progress } from '../host/progress.ts';
import { Thread } from '../host/thread.ts';
import { DataDirLock } from '../storage/lock.ts';
import { layCables } from '../transport/embedded.ts';
import { announceReady } from './announcement.ts';
import { CrashCount } from './crash-count.ts';
import { readOrCreateDevSecret } from './dev-secret.ts';
import { exitCodes } from './exit-codes.ts';
import { exitNow, type ExitNow } from './exit-now.ts';
import { Gateways, gatewaySettings } from './gateways.ts';
import { Impairment } from './impairment.ts';
import { reportRecovery } from './recovery-report.ts';
import { Restarts } from './restarts.ts';
import { SessionRecords } from './session-records.ts';
import { Shards, type ShardsParts } from './shards.ts';
import { stopOnSignals } from './signals.ts';
import { startServerAdmin } from './server-admin.ts';
import { archiveOf, ServerBackups } from './server-backups.ts';
import { listenError, startError, unusableData } from './start-error.ts';
import { Watchdog } from './watchdog.ts';

/** Milliseconds over which clients spread their reconnects after a stop. */
const reconnectMsMax = 2000;
/** Milliseconds that sockets get at least to take what was sent to them. */
const socketsDrainMsMin = 500;

/** Serves until a signal or a dead thread ends it. Settles with the exit code. @throws CommandError when it cannot start */
export async function serve(config: Config, log: Logger): Promise<number> {
  const server = new Server(config, log);
  return await stopOnSignals(server.lifecycle, server.died, config.shutdownTimeoutMs, log, server.exit);
}

class Server {
  readonly lifecycle: Lifecycle;
  /** Settles with the exit code when a thread ended that nobody had stopped. */
  readonly died: Promise<number>;
  readonly exit: ExitNow = exitNow(async () => void (await this.#gateways?.ask('close', 0)));
  readonly #config: Config;
  readonly #log: Logger;
  readonly #phase = new Phase();
  readonly #impairment = new Impairment(this.#phase);
  readonly #recovery = new Progress();
  /** Names this run of the process. */
  readonly #boot = systemClock.id();
  readonly #crashes: CrashCount;
  readonly #watchdog: Watchdog;
  readonly #restarts = new Restarts();
  #reportDeath!: (exitCode: number) => void;
  #gateways: Gateways | undefined;
  #shards: Shards | undefined;
  #keeper: Thread | undefined;
  #sessions: SessionRecords | undefined;
  #backups: ServerBackups | undefined;
  #lock: DataDirLock | undefined;
  #closeAdmin: (() => void) | undefined;
  #port = 0;

  constructor(config: Config, log: Logger) {
    this.#config = config;
    this.#log = log;
    this.#crashes = new CrashCount(config.dataDir, log, (calls) => void this.#gateways?.ask('setPoison', calls));
    this.#watchdog = new Watchdog(log, () => void this.exit(exitCodes.internal));
    this.lifecycle = new Lifecycle(this.#steps(config.shutdownTimeoutMs), log);
    this.died = new Promise((resolve) => {
      this.#reportDeath = resolve;
    });
  }

  #steps(budgetMs: number): readonly Step[] {
    return [
      {
        name: 'data directory',
        start: () => this.#lockDataDir(),
        stop: () => this.#lock?.release(),
        stopMs: budgetMs * 0.02,
      },
      { name: 'threads', start: () => this.#spawn(), stop: () => this.#terminate(), stopMs: budgetMs * 0.03 },
      { name: 'app', start: () => this.#loadApp() },
      { name: 'listen', start: () => this.#listen(), stop: () => this.#unlisten(), stopMs: budgetMs * 0.01 },
      { name: 'keeper', start: () => this.#recover(), stop: () => this.#keeper?.ask('stop'), stopMs: budgetMs * 0.2 },
      {
        name: 'shards',
        start: () => this.#startShards(),
        stop: () => this.#stopShards(),
        stopMs: budgetMs * 0.15,
      },
      {
        name: 'sessions',
        start: () => this.#startSessions(),
        stop: () => this.#sessions?.stop(),
        stopMs: budgetMs * 0.02,
      },
      {
        name: 'backups',
        start: () => this.#startBackups(),
        stop: () => this.#backups?.stop(),
        stopMs: budgetMs * 0.05,
      },
      { name: 'sockets', stop: () => this.#closeSockets(), stopMs: budgetMs * 0.14 },
      { name: 'calls', stop: () => this.#settle(), stopMs: budgetMs * 0.23 },
      { name: 'traffic', start: () => this.#open(), stop: () => this.#turnAway(), stopMs: budgetMs * 0.05 },
    ];
  }

  #lockDataDir(): void {
    try {
      this.#lock = DataDirLock.acquire(this.#config.dataDir);
    } catch (error) {
      throw startError(error, exitCodes.dataDirUnavailable);
    }
  }

  #spawn(): void {
    const config = this.#config;
    const { dataDir, limits } = config;
    const log: LogOptions = { level: config.logLevel, pretty: config.dev && process.stdout.isTTY };
    const cables = layCables(config.gateways, config.shards);
    const keeperCables = Array.from({ length: config.shards }, () => new MessageChannel());
    const keeperPorts = keeperCables.map((channel) => channel.port1);
    const devSecret = config.dev && config.auth.secret === undefined ? readOrCreateDevSecret(dataDir) : undefined;
    const stopping = (): boolean => this.lifecycle.stopping;
    this.#gateways = new Gateways(
      {
        data: { ...gatewaySettings(config), boot: this.#boot, devSecret, phase: this.#phase.memory, log },
        log: this.#log,
        restarts: this.#restarts,
        stopping,
        connect: (gateway, ports) => this.#shards!.connectGateway(gateway, ports),
        onLost: (gateway) => this.#sessions?.lost(gateway),
        onBack: (thread) => this.#gatewayBack(thread),
      },
      cables.toShards,
    );
    const progress = this.#recovery.memory;
    const archive = archiveOf(config);
    const keeper = { dataDir, limits, boot: this.#boot, ports: keeperPorts, progress, archive, log };
    this.#keeper = this.#watch(new Thread('keeper', 'keeper', keeper, keeperPorts));
    const shards: ShardsParts = {
      config,
      logOptions: log,
      log: this.#log,
      keeper: this.#keeper,
      gateways: () => this.#gateways!.threads,
      restarts: this.#restarts,
      watchdog: this.#watchdog,
      crashes: this.#crashes,
      stopping,
      onAway: (away) => this.#impairment.setAway(away),
    };
    this.#shards = new Shards(
      shards,
      cables.toGateways,
      keeperCables.map((channel) => channel.port2),
    );
  }

  /** It has to know what the others know. */
  async #gatewayBack(thread: Thread): Promise<void> {
    await thread.ask('setPoison', this.#crashes.fingerprints);
    for (const shard of this.#shards!.away) await thread.ask('shardLost', { shard, call: 0 });
  }

  /** The keeper: without it nothing goes on, so the process ends and is to be started again. */
  #watch(thread: Thread): Thread {
    void thread.died.then(({ code, error }) => {
      if (this.lifecycle.stopping) return;
      this.#log.fatal(
        { thread: thread.name, code, err: error },
        'a thread died; the process stops and should be started again',
      );
      this.#reportDeath(exitCodes.internal);
    });
    return thread;
  }

  async #loadApp(): Promise<void> {
    try {
      const loaded = await this.#shards!.ask<string[]>('load');
      this.#log.info({ app: this.#config.app, actors: loaded[0] }, 'app loaded');
    } catch (error) {
      throw startError(error, exitCodes.noApp);
    }
  }

  async #listen(): Promise<void> {
    try {
      this.#port = await this.#gateways!.start(this.#config.port);
      this.#closeAdmin = await startServerAdmin(this.#config, {
        phase: this.#phase,
        threads: () => [...this.#gateways!.threads, ...this.#shards!.threads, this.#keeper!],
        restarts: this.#restarts,
        crashes: this.#crashes,
        backup: () => this.#backups?.health,
      });
    } catch (error) {
      throw listenError(error);
    }
  }

  /** Also after a start that failed half-way: uWebSockets aborts the process when a thread ends with its listener open. */
  async #unlisten(): Promise<void> {
    this.#closeAdmin?.();
    await this.#gateways?.ask('close', 0);
  }

  async #recover(): Promise<void> {
    const screen = this.#config.dev && process.stdout.isTTY ? process.stdout : undefined;
    const endReport = reportRecovery(this.#recovery, this.#log, screen);
    try {
      const recovered = await this.#keeper!.ask<Record<string, unknown>>('recover', { shards: this.#config.shards });
      endReport();
      this.#log.info(recovered, 'journals replayed');
    } catch (error) {
      throw unusableData(error, this.#config.dataDir);
    } finally {
      endReport();
    }
  }

  async #startShards(): Promise<void> {
    try {
      this.#crashes.start();
      await this.#shards!.ask('start');
      this.#shards!.watch();
    } catch (error) {
      throw unusableData(error, this.#config.dataDir);
    }
  }

  /** Who was connected when a former process ended is told goodbye in the background. */
  async #startSessions(): Promise<void> {
    this.#sessions = new SessionRecords(this.#gateways!, this.#keeper!, this.#log);
    this.#sessions.start();
    await this.#keeper!.ask('closeStale', { shards: this.#config.shards });
  }

  async #startBackups(): Promise<void> {
    this.#backups = new ServerBackups(this.#config, this.#keeper!, this.#log);
    await this.#backups.start();
  }

  async #open(): Promise<void> {
    this.#phase.set('ready');
    await announceReady(this.#config, this.#port, this.#log);
  }

  // The stop, from here upwards.

  /** `/ready` says 503, nobody new comes in, everybody is told. */
  async #turnAway(): Promise<void> {
    this.#phase.set('draining');
    await this.#gateways!.ask('stopListening');
    await this.#gateways!.ask('announceShutdown', reconnectMsMax + randomInt(1000));
  }

  /** What was accepted ends, is committed, and its replies have reached the gateways. */
  async #settle(): Promise<void> {
    await this.#gateways!.ask('settled');
    await this.#shards!.ask('drain');
  }

  async #closeSockets(): Promise<void> {
    await this.#gateways!.ask('close', socketsDrainMsMin);
  }

  /** Actors leave memory, tenant files catch up, and only then the journals close: the next start has nothing to replay. */
  async #stopShards(): Promise<void> {
    this.#crashes.stop();
    await this.#shards!.ask('deactivate');
    await this.#keeper!.ask('flush');
    await this.#shards!.ask('stop');
  }

  async #terminate(): Promise<void> {
    this.#watchdog.stop();
    this.#impairment.stop();
    await Promise.all([this.#gateways?.terminate(), this.#shards?.terminate(), this.#keeper?.terminate()]);
  }
}
