/**
 * The server, as one list of steps. `fermata serve` is all of it in one process; `fermata gateway` and `fermata runtime` are
 * its two sides in processes of their own, with NATS between. Read the list downwards for the start, upwards for the stop. Each
 * stop has a share of the time; together they get nine tenths of it, so that the forced exit never cuts a stop that keeps to
 * them.
 *
 * Main only conducts: calls never pass through it.
 */
import { systemClock } from '../host/clock.ts';
import type { Config } from '../host/config.ts';
import { Lifecycle, type Step } from '../host/lifecycle.ts';
import type { Logger } from '../host/log.ts';
import { Phase } from '../host/phase.ts';
import { layCables } from '../transport/embedded.ts';
import { announceRuntime } from './announcement.ts';
import { DataSide } from './data-side.ts';
import { exitCodes } from './exit-codes.ts';
import { exitNow, type ExitNow } from './exit-now.ts';
import type { NatsSide } from './nats-side.ts';
import { Restarts } from './restarts.ts';
import { startServerAdmin } from './server-admin.ts';
import type { ServerParts, Sides } from './server-parts.ts';
import { stopOnSignals } from './signals.ts';
import { SocketSide } from './socket-side.ts';
import { listenError } from './start-error.ts';

/** Serves until a signal or a dead thread ends it. Settles with the exit code. @throws CommandError when it cannot start */
export async function serve(config: Config, sides: Sides, log: Logger): Promise<number> {
  const joined = config.nats !== undefined || config.natsServer !== undefined;
  // Loaded only where it is used: the package has fifty modules.
  const server = new Server(config, sides, log, joined ? (await import('./nats-side.ts')).NatsSide : undefined);
  return await stopOnSignals(server.lifecycle, server.died, config.shutdownTimeoutMs, log, server.exit);
}

/** A step, and its stop's share of the time, as a weight among those that there are. */
type Row = Omit<Step, 'stopMs'> & { readonly weight?: number };

class Server {
  readonly lifecycle: Lifecycle;
  /** Settles with the exit code when a thread ended that nobody had stopped. */
  readonly died: Promise<number>;
  readonly exit: ExitNow = exitNow(async () => await this.#sockets?.unlisten());
  readonly #parts: ServerParts;
  readonly #data: DataSide | undefined;
  readonly #sockets: SocketSide | undefined;
  readonly #nats: NatsSide | undefined;
  #closeAdmin: (() => void) | undefined;

  /** `Nats`: where it is joined with other processes. */
  constructor(config: Config, sides: Sides, log: Logger, Nats: typeof NatsSide | undefined) {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.died = promise;
    const parts: ServerParts = {
      config,
      log,
      logOptions: { level: config.logLevel, pretty: config.dev && process.stdout.isTTY },
      phase: new Phase(),
      restarts: new Restarts(),
      boot: systemClock.id(),
      stopping: () => this.lifecycle.stopping,
      reportDeath: resolve,
    };
    this.#parts = parts;
    this.#nats = Nats && new Nats(parts, sides, () => this.#load());
    this.#sockets = sides.sockets ? new SocketSide(parts) : undefined;
    this.#data = sides.data ? new DataSide({ ...parts, ...this.#around() }) : undefined;
    this.lifecycle = new Lifecycle(timed(this.#rows(), config.shutdownTimeoutMs), log);
  }

  #around() {
    return {
      fronts: () => this.#nats?.bridge ?? this.#sockets!.fronts,
      giveUp: () => void this.exit(exitCodes.internal),
      lease: this.#nats?.lease,
    };
  }

  #rows(): readonly Row[] {
    const data = this.#data;
    const sockets = this.#sockets;
    const nats = this.#nats;
    const bridged = data === undefined ? undefined : nats;
    const rows: readonly (Row | undefined)[] = [
      data && {
        name: 'data directory',
        start: () => data.lockDirectory(),
        stop: () => data.unlockDirectory(),
        weight: 2,
      },
      nats && {
        name: 'nats server',
        start: () => nats.startServer(),
        stop: () => nats.stopServer(this.#serverStopMs),
        weight: 20,
      },
      nats && { name: 'nats', start: () => nats.connect(), stop: () => nats.disconnect(), weight: 2 },
      { name: 'threads', start: () => this.#spawn(), stop: () => this.#terminate(), weight: 3 },
      data && { name: 'app', start: () => data.loadApp() },
      { name: 'listen', start: () => this.#listen(), stop: () => this.#unlisten(), weight: 1 },
      data && { name: 'keeper', start: () => data.recover(), stop: () => data.stopKeeper(), weight: 20 },
      // Shards commit until the end of their stop.
      bridged && { name: 'lease', stop: () => bridged.releaseLease(), weight: 2 },
      bridged && { name: 'bridge', start: () => bridged.startBridge() },
      data && { name: 'shards', start: () => data.startShards(), stop: () => data.stopShards(), weight: 15 },
      bridged && {
        name: 'slots',
        start: () => bridged.takeSlots(data!.keeper),
        stop: () => bridged.closeBridge(),
        weight: 4,
      },
      data && {
        name: 'sessions',
        start: () => data.startSessions(bridged === undefined),
        stop: () => data.stopSessions(),
        weight: 2,
      },
      data && { name: 'backups', start: () => data.startBackups(), stop: () => data.stopBackups(), weight: 5 },
      sockets && { name: 'sockets', stop: () => sockets.closeSockets(), weight: 14 },
      { name: 'calls', stop: () => this.#settle(), weight: 23 },
      nats && { name: 'directory', start: () => nats.enlist(), stop: () => nats.leave(), weight: 7 },
      { name: 'traffic', start: () => this.#open(), stop: () => this.#turnAway(), weight: 5 },
    ];
    return rows.filter((row) => row !== undefined);
  }

  #spawn(): void {
    const { config } = this.#parts;
    const data = this.#data;
    const nats = this.#nats;
    if (nats !== undefined) {
      this.#sockets?.spawn({ kind: 'nats', nats: nats.config });
      if (data === undefined) return;
      const cables = layCables(1, config.shards);
      nats.spawnBridge(cables.toShards[0]!);
      data.spawn(cables.toGateways);
    } else if (data !== undefined) {
      const cables = layCables(config.gateways, config.shards);
      this.#sockets!.spawn({
        kind: 'shards',
        cables: cables.toShards,
        connect: (gateway, ports) => data.connectFront(gateway, ports),
        onLost: (gateway) => data.frontLost(gateway),
        onBack: (thread) => data.introduce(thread),
      });
      data.spawn(cables.toGateways);
    }
  }

  async #listen(): Promise<void> {
    await this.#sockets?.listen();
    try {
      this.#closeAdmin = await startServerAdmin(this.#parts.config, {
        phase: this.#parts.phase,
        threads: () => [
          ...(this.#sockets?.fronts.threads ?? []),
          ...(this.#data?.threads ?? []),
          ...(this.#data === undefined ? [] : (this.#nats?.bridge.threads ?? [])),
        ],
        restarts: this.#parts.restarts,
        quarantinedCalls: () => this.#data?.crashes.fingerprints.length ?? 0,
        backup: () => this.#data?.backupHealth,
        ofNats: () => this.#nats?.samples() ?? [],
      });
    } catch (error) {
      throw listenError(error);
    }
  }

  /** Calls under way. */
  async #load(): Promise<number> {
    const told = await (this.#sockets?.fronts ?? this.#nats!.bridge).ask<number>('load');
    return told.reduce<number>((sum, calls = 0) => sum + calls, 0);
  }

  async #open(): Promise<void> {
    if (this.#sockets !== undefined) await this.#sockets.open(this.#data?.sample);
    else {
      this.#parts.phase.set('ready');
      announceRuntime(this.#parts.config, this.#parts.log);
    }
    this.#nats?.relist();
  }

  // The stop.

  async #turnAway(): Promise<void> {
    this.#parts.phase.set('draining');
    this.#nats?.relist();
    await this.#sockets?.turnAway();
  }

  /** What was accepted ends, is committed, and its replies have reached the gateways. */
  async #settle(): Promise<void> {
    await this.#sockets?.settle();
    if (this.#data === undefined) return;
    await this.#nats?.stopTaking();
    await this.#data.drain();
  }

  /** Also after a start that failed half-way. */
  async #unlisten(): Promise<void> {
    this.#closeAdmin?.();
    await this.#sockets?.unlisten();
  }

  async #terminate(): Promise<void> {
    await Promise.all([this.#sockets?.terminate(), this.#data?.terminate(), this.#nats?.terminateBridge()]);
  }

  /** A nats-server ends within its share. */
  get #serverStopMs(): number {
    return this.#parts.config.shutdownTimeoutMs * 0.1;
  }
}

/** Each stop's share of nine tenths of the budget. */
function timed(rows: readonly Row[], budgetMs: number): Step[] {
  const sum = rows.reduce((weights, { weight = 0 }) => weights + weight, 0);
  return rows.map(({ weight = 0, ...step }) => ({ ...step, stopMs: (budgetMs * 0.9 * weight) / sum }));
}
