/**
 * The side of a server that joins it with other processes: NATS, the node's lease and slots, the directory, questions from
 * other processes. A gateway has of it only what needs no data.
 *
 * Its methods are rows of the list in serve.ts, start and stop, in the order in which they stand here.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { MessagePort } from 'node:worker_threads';
import { Control } from '../cluster/control.ts';
import { DirectoryListing, type DirectoryEntry } from '../cluster/directory.ts';
import { nodeIdOf } from '../cluster/node-id.ts';
import { Ownership } from '../cluster/ownership.ts';
import { systemClock } from '../host/clock.ts';
import type { NatsConfig } from '../host/config.ts';
import { Lease } from '../host/lease.ts';
import { listTenants } from '../storage/inspect.ts';
import { connectNats } from '../transport/nats-connection.ts';
import { natsHealth } from '../transport/nats-health.ts';
import { ensureStreams } from '../transport/nats-streams.ts';
import { BridgeFront } from './bridge-front.ts';
import { exitCodes } from './exit-codes.ts';
import { ManagedNats } from './nats-server.ts';
import type { ServerParts, Sides } from './server-parts.ts';
import { startError } from './start-error.ts';
import { version } from './version.ts';

const healthEveryMs = 2000;

export class NatsSide {
  readonly lease = new Lease();
  readonly #parts: ServerParts;
  readonly #sides: Sides;
  /** This run of the process, as other processes know it. */
  readonly #run = randomBytes(10).toString('hex');
  readonly #sinceMs = Date.now();
  #id = this.#run;
  #server: ManagedNats | undefined;
  #nc: Awaited<ReturnType<typeof connectNats>> | undefined;
  #bridge: BridgeFront | undefined;
  #ownership: Ownership | undefined;
  #listing: DirectoryListing | undefined;
  #control: Control | undefined;
  #healthTimer: NodeJS.Timeout | undefined;

  constructor(parts: ServerParts, sides: Sides) {
    this.#parts = parts;
    this.#sides = sides;
  }

  /** How threads reach NATS. */
  get config(): NatsConfig {
    return this.#server?.nats ?? this.#parts.config.nats!;
  }

  get bridge(): BridgeFront {
    return this.#bridge!;
  }

  async startServer(): Promise<void> {
    const { config, log } = this.#parts;
    if (config.natsServer === undefined) return;
    this.#server = await ManagedNats.start({ config: config.natsServer, dataDir: config.dataDir, log });
  }

  async connect(): Promise<void> {
    const { config, log } = this.#parts;
    try {
      if (this.#sides.data) this.#id = nodeIdOf(config.dataDir);
      this.#nc = await connectNats(this.config, { name: `fermata-${this.#id}`, log });
      await this.#ensure();
    } catch (error) {
      throw startError(error, exitCodes.natsUnavailable);
    }
    void this.#watchHealth();
  }

  spawnBridge(cables: readonly MessagePort[]): void {
    this.#bridge = new BridgeFront(this.#parts, this.config, this.#run, cables, !this.#sides.sockets);
  }

  async startBridge(): Promise<void> {
    try {
      await this.bridge.start();
    } catch (error) {
      throw startError(error, exitCodes.natsUnavailable);
    }
  }

  /** Takes the lease, and the slots that are this node's. */
  async takeSlots(): Promise<void> {
    const { config, log } = this.#parts;
    const bridge = this.bridge;
    try {
      this.#ownership = await Ownership.open({
        nc: this.#nc!,
        ensure: () => this.#ensure(),
        id: this.#id,
        boot: this.#run,
        lease: this.lease,
        leaseMs: config.limits.leaseMs,
        slotGraceMs: config.slotGraceMs,
        clock: systemClock,
        log,
        onTaken: (slot, epoch) => bridge.take(slot, epoch),
        onLost: (slot) => bridge.giveUp(slot),
        onDeposed: (why) => this.#deposed(why),
      });
      bridge.markBy((slot) => this.#ownership!.markData(slot));
      const tenantsOnDisk = listTenants(config.dataDir).map(({ tenant }) => tenant);
      await this.#ownership.start({ tenantsOnDisk });
    } catch (error) {
      throw startError(error, exitCodes.natsUnavailable);
    }
    log.info({ node: this.#id, slots: this.#ownership.owned().size }, 'slots taken');
  }

  /** Shows this process to people, and answers their questions. */
  async enlist(): Promise<void> {
    const { log, config } = this.#parts;
    this.#listing = new DirectoryListing({ nc: this.#nc!, log, describe: () => this.#describe() });
    await this.#listing.start();
    if (!this.#sides.data) return;
    this.#control = await Control.open({
      nc: this.#nc!,
      id: this.#id,
      version: version(),
      log,
      handlers: {
        status: async () => ({ ...this.#describe(), dataDir: config.dataDir, leaseHeld: this.lease.held }),
        slots: async () => Object.fromEntries(this.#ownership!.owned()),
        drain: async () => {
          process.kill(process.pid, 'SIGTERM');
          return { draining: true };
        },
      },
    });
  }

  // The stop.

  async leave(): Promise<void> {
    await this.#control?.close();
    await this.#listing?.stop();
  }

  /** What was begun is answered; what was not waits in the stream for this node's next run. */
  async stopTaking(): Promise<void> {
    await this.#bridge?.stopTaking();
  }

  /** The node keeps its slots; others see that it stopped on purpose. */
  async releaseSlots(): Promise<void> {
    await this.#bridge?.close();
    await this.#ownership?.release();
  }

  async terminateBridge(): Promise<void> {
    await this.#bridge?.terminate();
  }

  async disconnect(): Promise<void> {
    clearTimeout(this.#healthTimer);
    this.#healthTimer = undefined;
    await this.#nc?.close();
  }

  async stopServer(msMax: number): Promise<void> {
    await this.#server?.stop(msMax);
  }

  #ensure(): Promise<void> {
    return ensureStreams(this.#nc!, { replicas: this.config.replicas });
  }

  /** Its successor, or another node, has its slots: whatever is here must not be told to anybody. */
  #deposed(why: string): void {
    this.#parts.log.fatal({ node: this.#id, why }, 'another process has the lease of this node; the process stops');
    this.#parts.reportDeath(exitCodes.deposed);
  }

  #describe(): DirectoryEntry {
    const { config, phase } = this.#parts;
    const slots = [...(this.#ownership?.owned().keys() ?? [])].toSorted((a, b) => a - b);
    return {
      kind: this.#sides.data ? 'runtime' : 'gateway',
      id: this.#id,
      version: version(),
      host: hostname(),
      shards: this.#sides.data ? config.shards : 0,
      slots,
      load: 0,
      sinceMs: this.#sinceMs,
      state: phase.name,
    };
  }

  async #watchHealth(): Promise<void> {
    const { phase, log } = this.#parts;
    const health = await natsHealth(this.#nc!);
    if (this.#nc!.isClosed()) return;
    const before = phase.health;
    phase.setHealth(health.ok ? 'ok' : this.#nc!.info === undefined ? 'nats-gone' : 'jetstream-gone');
    if (before !== phase.health) {
      if (health.ok) log.info('NATS works again');
      else log.warn({ reason: health.reason }, 'NATS does not work; calls wait, or end as unknown at their deadline');
    }
    this.#healthTimer = setTimeout(() => void this.#watchHealth(), healthEveryMs).unref();
  }
}
