/**
 * The server, as one list of steps: `fermata serve` is all of it in one process. Read it downwards for the start, upwards for
 * the stop; the shares of time add up to nine tenths of the budget, so that the forced exit never cuts a stop that keeps
 * to them.
 *
 * Main only conducts: calls never pass through it.
 */
import { systemClock } from '../host/clock.ts';
import type { Config } from '../host/config.ts';
import { Lifecycle, type Step } from '../host/lifecycle.ts';
import type { Logger } from '../host/log.ts';
import { Phase } from '../host/phase.ts';
import { layCables } from '../transport/embedded.ts';
import { DataSide } from './data-side.ts';
import { exitCodes } from './exit-codes.ts';
import { exitNow, type ExitNow } from './exit-now.ts';
import { Restarts } from './restarts.ts';
import { startServerAdmin } from './server-admin.ts';
import type { ServerParts } from './server-parts.ts';
import { stopOnSignals } from './signals.ts';
import { SocketSide } from './socket-side.ts';
import { listenError } from './start-error.ts';

/** Serves until a signal or a dead thread ends it. Settles with the exit code. @throws CommandError when it cannot start */
export async function serve(config: Config, log: Logger): Promise<number> {
  const server = new Server(config, log);
  return await stopOnSignals(server.lifecycle, server.died, config.shutdownTimeoutMs, log, server.exit);
}

class Server {
  readonly lifecycle: Lifecycle;
  /** Settles with the exit code when a thread ended that nobody had stopped. */
  readonly died: Promise<number>;
  readonly exit: ExitNow = exitNow(async () => await this.#sockets.unlisten());
  readonly #parts: ServerParts;
  readonly #data: DataSide;
  readonly #sockets: SocketSide;
  #closeAdmin: (() => void) | undefined;

  constructor(config: Config, log: Logger) {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.died = promise;
    this.#parts = {
      config,
      log,
      logOptions: { level: config.logLevel, pretty: config.dev && process.stdout.isTTY },
      phase: new Phase(),
      restarts: new Restarts(),
      boot: systemClock.id(),
      stopping: () => this.lifecycle.stopping,
      reportDeath: resolve,
    };
    this.#sockets = new SocketSide(this.#parts);
    this.#data = new DataSide({
      ...this.#parts,
      fronts: () => this.#sockets.fronts,
      giveUp: () => void this.exit(exitCodes.internal),
      lease: undefined,
    });
    this.lifecycle = new Lifecycle(this.#steps(config.shutdownTimeoutMs), log);
  }

  #steps(budgetMs: number): readonly Step[] {
    const data = this.#data;
    const sockets = this.#sockets;
    return [
      {
        name: 'data directory',
        start: () => data.lockDirectory(),
        stop: () => data.unlockDirectory(),
        stopMs: budgetMs * 0.02,
      },
      { name: 'threads', start: () => this.#spawn(), stop: () => this.#terminate(), stopMs: budgetMs * 0.03 },
      { name: 'app', start: () => data.loadApp() },
      { name: 'listen', start: () => this.#listen(), stop: () => this.#unlisten(), stopMs: budgetMs * 0.01 },
      { name: 'keeper', start: () => data.recover(), stop: () => data.stopKeeper(), stopMs: budgetMs * 0.2 },
      { name: 'shards', start: () => data.startShards(), stop: () => data.stopShards(), stopMs: budgetMs * 0.15 },
      { name: 'sessions', start: () => data.startSessions(), stop: () => data.stopSessions(), stopMs: budgetMs * 0.02 },
      { name: 'backups', start: () => data.startBackups(), stop: () => data.stopBackups(), stopMs: budgetMs * 0.05 },
      { name: 'sockets', stop: () => sockets.closeSockets(), stopMs: budgetMs * 0.14 },
      { name: 'calls', stop: () => this.#settle(), stopMs: budgetMs * 0.23 },
      { name: 'traffic', start: () => sockets.open(), stop: () => sockets.turnAway(), stopMs: budgetMs * 0.05 },
    ];
  }

  #spawn(): void {
    const { config } = this.#parts;
    const cables = layCables(config.gateways, config.shards);
    const data = this.#data;
    this.#sockets.spawn({
      kind: 'shards',
      cables: cables.toShards,
      connect: (gateway, ports) => data.connectFront(gateway, ports),
      onLost: (gateway) => data.frontLost(gateway),
      onBack: (thread) => data.introduce(thread),
    });
    data.spawn(cables.toGateways);
  }

  async #listen(): Promise<void> {
    await this.#sockets.listen();
    try {
      this.#closeAdmin = await startServerAdmin(this.#parts.config, {
        phase: this.#parts.phase,
        threads: () => [...this.#sockets.fronts.threads, ...this.#data.threads],
        restarts: this.#parts.restarts,
        crashes: this.#data.crashes,
        backup: () => this.#data.backupHealth,
      });
    } catch (error) {
      throw listenError(error);
    }
  }

  /** Also after a start that failed half-way. */
  async #unlisten(): Promise<void> {
    this.#closeAdmin?.();
    await this.#sockets.unlisten();
  }

  /** What was accepted ends, is committed, and its replies have reached the gateways. */
  async #settle(): Promise<void> {
    await this.#sockets.settle();
    await this.#data.drain();
  }

  async #terminate(): Promise<void> {
    await Promise.all([this.#sockets.terminate(), this.#data.terminate()]);
  }
}
