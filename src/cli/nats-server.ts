/**
 * A nats-server of our own: found, configured, started, kept running, and stopped, so that one command is all that a single
 * machine needs. Main owns it: it starts before whoever speaks NATS and stops after them.
 *
 *   start   find the program ─▶ folder, name, credentials ─▶ end what a former run left ─▶ port ─▶ run ─▶ it answers
 *   death   run again on the same port and store, after a wait that grows; clients come back by themselves
 *   stop    lame duck, then TERM, then KILL, within the time given
 *
 * The port is chosen once: whoever knows it keeps knowing it. Everything on disk is in `$DATA_DIR/nats`
 * (`nats-server-folder.ts`); how it dies with us is in `nats-server-process.ts`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConfig, NatsServerConfig } from '../host/config.ts';
import type { Logger } from '../host/log.ts';
import { CommandError } from './command-error.ts';
import { exitCodes } from './exit-codes.ts';
import { findNatsServer } from './nats-server-binary.ts';
import { dialHost, managedNats, natsServerConfig, serverNameOf } from './nats-server-config.ts';
import { type NatsFolder, openNatsFolder, writePrivately } from './nats-server-folder.ts';
import { leafSecrets } from './nats-server-leaf.ts';
import { NatsServerLog } from './nats-server-log.ts';
import { availablePort } from './nats-server-port.ts';
import { NatsServerProcess } from './nats-server-process.ts';
import { endStaleServer } from './nats-server-stale.ts';
import { type Lived, longerWait, waitAfter } from './restarts.ts';

/** Tries of a first start, when another process is quicker at the port. */
const portTriesMax = 3;
const failedStartMsMax = 5000;

export interface ManagedNatsParts {
  readonly config: NatsServerConfig;
  readonly dataDir: string;
  readonly log: Logger;
}

export interface ManagedNatsHealth {
  /** It answers, as far as we know: it has been started and has not died. */
  readonly up: boolean;
  /** Of nats-server, while it runs. */
  readonly pid: number | undefined;
  readonly version: string;
  /** Times that it was started again and answered. */
  readonly restarts: number;
}

export class ManagedNats {
  /** How to reach it; the same until the stop. */
  readonly nats: NatsConfig;
  readonly port: number;
  readonly #parts: ManagedNatsParts;
  readonly #launch: Launch;
  readonly #stopping = new AbortController();
  #run: NatsServerProcess;
  #up = true;
  #restarts = 0;
  #successor: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;

  private constructor(
    parts: ManagedNatsParts,
    launch: Launch,
    run: NatsServerProcess,
    port: number,
    startedMs: number,
  ) {
    this.#parts = parts;
    this.#launch = launch;
    this.#run = run;
    this.port = port;
    this.nats = managedNats(parts.config.host, port, launch.folder);
    this.#supervise(run, { startedMs, waitMs: 0 });
  }

  /** Settles when it answers. @throws CommandError that says what to do */
  static async start(parts: ManagedNatsParts): Promise<ManagedNats> {
    const { config, dataDir, log } = parts;
    const binary = await findNatsServer(config.bin);
    const folder = openNatsFolder(dataDir);
    // Before anything runs: what is wrong with remotes or domain is told, and their secrets are known.
    natsServerConfig(config, folder, config.port);
    const natsLog = new NatsServerLog(log, [folder.password, ...leafSecrets(config.leafRemotes)]);
    const launch: Launch = { bin: binary.path, version: binary.version, folder, log: natsLog };
    await endStaleServer(folder, log);
    for (let tries = 1; ; tries += 1) {
      const port = await availablePort(config.host, config.port);
      writePrivately(folder.configPath, natsServerConfig(config, folder, port));
      const startedMs = performance.now();
      const run = new NatsServerProcess({ bin: launch.bin, configPath: folder.configPath, log: natsLog });
      if (await run.ready(dialHost(config.host), port, serverNameOf(folder))) {
        report(parts, launch, port);
        return new ManagedNats(parts, launch, run, port, startedMs);
      }
      await run.stop(failedStartMsMax);
      const complaints = natsLog.takeComplaints();
      if (tries < portTriesMax && complaints.includes('address already in use')) continue;
      natsLog.close();
      throw new CommandError(`nats-server did not start: ${complaints || 'it did not say why'}`, {
        exitCode: exitCodes.failed,
        hint: `Its configuration is ${folder.configPath}, its log lines are in ours, with the thread "nats".`,
      });
    }
  }

  get health(): ManagedNatsHealth {
    return { up: this.#up, pid: this.#run.pid, version: this.#launch.version, restarts: this.#restarts };
  }

  /** Ends it within the time, and whoever would start it again. Clients should have left. */
  stop(msMax: number): Promise<void> {
    this.#stopped ??= this.#stop(msMax);
    return this.#stopped;
  }

  async #stop(msMax: number): Promise<void> {
    this.#stopping.abort();
    this.#up = false;
    const gently = await this.#run.stop(msMax);
    await this.#successor;
    this.#launch.log.close();
    if (!gently) this.#parts.log.warn('nats-server did not end in time and was killed; its store is safe');
  }

  #supervise(run: NatsServerProcess, lived: Lived): void {
    void run.died.then((code) => {
      if (this.#stopping.signal.aborted) return;
      this.#up = false;
      this.#parts.log.error({ code }, 'nats-server died; it is started again');
      this.#successor = this.#succeed(lived);
    });
  }

  async #succeed(dead: Lived): Promise<void> {
    const { log } = this.#parts;
    const { signal } = this.#stopping;
    for (let waitMs = waitAfter(dead); ; waitMs = longerWait(waitMs)) {
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        if (await this.#restart(waitMs)) return;
        log.error(
          { cause: this.#launch.log.takeComplaints() },
          'nats-server could not be started again; it is tried once more',
        );
      } catch (error) {
        log.error({ err: error }, 'nats-server could not be started again; it is tried once more');
      }
    }
  }

  async #restart(waitMs: number): Promise<boolean> {
    const { config, log } = this.#parts;
    const { bin, folder, log: natsLog } = this.#launch;
    // When the shell that watches it was ended, it may still be on its way out.
    await endStaleServer(folder, log);
    if (this.#stopping.signal.aborted) return true;
    const startedMs = performance.now();
    const run = new NatsServerProcess({ bin, configPath: folder.configPath, log: natsLog });
    this.#run = run;
    const ready = await run.ready(dialHost(config.host), this.port, serverNameOf(folder));
    if (this.#stopping.signal.aborted) return true;
    if (!ready) {
      await run.stop(failedStartMsMax);
      return false;
    }
    this.#up = true;
    this.#restarts += 1;
    this.#supervise(run, { startedMs, waitMs: longerWait(waitMs) });
    log.info({ pid: run.pid, port: this.port }, 'nats-server serves again');
    return true;
  }
}

/** What every run of it shares. */
interface Launch {
  readonly bin: string;
  readonly version: string;
  readonly folder: NatsFolder;
  readonly log: NatsServerLog;
}

function report({ config, log }: ManagedNatsParts, { version, folder }: Launch, port: number): void {
  const { host, leafRemotes } = config;
  if (config.port !== 0 && config.port !== port)
    log.warn({ wanted: config.port, port }, 'the port for nats-server is taken; it has a free one');
  if (!isLoopback(host))
    log.warn({ host, port }, 'nats-server can be reached from other machines, and its connections are not encrypted');
  log.info({ version, host, port, name: serverNameOf(folder), leafRemotes: leafRemotes.length }, 'nats-server started');
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}
