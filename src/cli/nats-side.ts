/**
 * The side of a server that joins it with other processes: NATS, the node's lease and slots, the directory, questions from
 * other processes. A gateway has of it only what needs no data.
 *
 * Its methods are rows of the list in serve.ts, start and stop, in the order in which they stand here.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MessagePort } from 'node:worker_threads';
import { Control } from '../cluster/control.ts';
import { DirectoryListing, type DirectoryEntry } from '../cluster/directory.ts';
import { nodeIdOf } from '../cluster/node-id.ts';
import { Ownership } from '../cluster/ownership.ts';
import { systemClock } from '../host/clock.ts';
import type { NatsConfig } from '../host/config.ts';
import { Lease } from '../host/lease.ts';
import { type Sample, sample } from '../host/meters.ts';
import type { Thread } from '../host/thread.ts';
import { tenantsBelow } from '../storage/shipments.ts';
import { connectNats } from '../transport/nats-connection.ts';
import { natsHealth } from '../transport/nats-health.ts';
import { ensureStreams } from '../transport/nats-streams.ts';
import { BridgeFront } from './bridge-front.ts';
import type { NatsClient } from './cluster-connection.ts';
import { CommandError } from './command-error.ts';
import { exitCodes } from './exit-codes.ts';
import { ManagedNats } from './nats-server.ts';
import type { ServerParts, Sides } from './server-parts.ts';
import { SlotMoves } from './slot-moves.ts';
import { startError } from './start-error.ts';
import { version } from './version.ts';

const healthEveryMs = 2000;
/** What a call, or the claims of a session, may take beside the client's own bytes, escaped. */
const envelopeBytesMax = 64 * 1024;
const leaveMsMax = 300;

export class NatsSide {
  readonly lease = new Lease();
  readonly #parts: ServerParts;
  readonly #sides: Sides;
  readonly #load: () => Promise<number>;
  /** This run of the process, as other processes know it. */
  readonly #run = randomBytes(10).toString('hex');
  readonly #sinceMs = Date.now();
  #id = this.#run;
  #server: ManagedNats | undefined;
  #nc: NatsClient | undefined;
  #bridge: BridgeFront | undefined;
  #ownership: Ownership | undefined;
  #moves: SlotMoves | undefined;
  #listing: DirectoryListing | undefined;
  #control: Control | undefined;
  #healthTimer: NodeJS.Timeout | undefined;

  /** `load`: calls under way. */
  constructor(parts: ServerParts, sides: Sides, load: () => Promise<number>) {
    this.#parts = parts;
    this.#sides = sides;
    this.#load = load;
  }

  /** For `/metrics`. */
  samples(): Sample[] {
    const up = sample('fermata_nats_up', this.#parts.phase.healthy ? 1 : 0);
    if (!this.#sides.data) return [up];
    return [
      up,
      sample('fermata_slots', this.#ownership?.owned().size ?? 0),
      sample('fermata_lease_held', this.lease.held ? 1 : 0),
    ];
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
      this.#checkPayload();
      await this.#ensure();
    } catch (error) {
      throw startError(error, exitCodes.natsUnavailable);
    }
    void this.#watchHealth();
  }

  spawnBridge(cables: readonly MessagePort[]): void {
    this.#bridge = new BridgeFront(this.#parts, {
      nats: this.config,
      runtime: this.#run,
      cables,
      lease: this.lease,
      countsCalls: !this.#sides.sockets,
    });
  }

  async startBridge(): Promise<void> {
    try {
      await this.bridge.start();
    } catch (error) {
      throw startError(error, exitCodes.natsUnavailable);
    }
  }

  /** Takes the lease, and the slots that are this node's. */
  async takeSlots(keeper: Thread): Promise<void> {
    const { config, log } = this.#parts;
    const moves = new SlotMoves({
      ...this.#parts,
      nc: this.#nc!,
      id: this.#id,
      dataDir: config.dataDir,
      shards: config.shards,
      replicas: this.config.replicas,
      keeper,
      bridge: this.bridge,
      ownership: () => this.#ownership!,
    });
    this.#moves = moves;
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
        onTaken: (slot, epoch) => moves.taken(slot, epoch),
        onLost: (slot) => moves.lost(slot),
        onDeposed: (why) => this.#deposed(why),
      });
      this.bridge.markBy((slot) => this.#ownership!.markData(slot));
      const tenantsOnDisk = [...tenantsBelow(config.dataDir), ...(await moves.settle())];
      await this.#ownership.start({ tenantsOnDisk });
    } catch (error) {
      throw startError(error, exitCodes.natsUnavailable);
    }
    const { size } = this.#ownership.owned();
    log.info({ node: this.#id, slots: size }, 'slots taken');
    if (size === 0) log.info('every slot has an owner. To give this runtime its share: fermata rebalance --dry-run');
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
        status: async () => ({
          ...(await this.#describe()),
          dataDir: config.dataDir,
          leaseHeld: this.lease.held,
          conflicts: this.#ownership!.conflicts(),
        }),
        slots: async () => Object.fromEntries(this.#ownership!.owned()),
        drain: async () => {
          process.kill(process.pid, 'SIGTERM');
          return { draining: true };
        },
        ...this.#moves?.handlers(),
      },
    });
  }

  /** Something of what it shows has changed. */
  relist(): void {
    this.#listing?.refresh();
  }

  // The stop.

  async leave(): Promise<void> {
    const left = Promise.all([this.#control?.close(), this.#listing?.stop()]).catch((error: unknown) => {
      this.#parts.log.debug({ err: error }, 'the directory was not told of the stop');
    });
    await this.#moves?.stop();
    // Whoever is not told sees the entry fade: a stop does not wait for a NATS that is away.
    await Promise.race([left, sleep(leaveMsMax, undefined, { ref: false })]);
  }

  /** What was begun is answered; what was not waits in the stream for this node's next run. */
  async stopTaking(): Promise<void> {
    await this.#bridge?.stopTaking();
  }

  async closeBridge(): Promise<void> {
    await this.#bridge?.close();
  }

  /** The node keeps its slots; others see that it stopped on purpose. Nothing can be committed any more. */
  async releaseLease(): Promise<void> {
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

  /** One call must fit into one message; frames of many are cut. */
  #checkPayload(): void {
    const { frameBytesMax } = this.#parts.config.limits;
    const payloadMax = this.#nc!.info?.max_payload ?? Number.POSITIVE_INFINITY;
    if (frameBytesMax + envelopeBytesMax <= payloadMax) return;
    throw new CommandError(
      `NATS takes messages of ${payloadMax} bytes, too few for calls of ${frameBytesMax} bytes (limit frameBytesMax)`,
      {
        exitCode: exitCodes.config,
        hint: `Raise max_payload of the NATS server to at least ${frameBytesMax + envelopeBytesMax}, or lower the limit.`,
      },
    );
  }

  #ensure(): Promise<void> {
    return ensureStreams(this.#nc!, { replicas: this.config.replicas });
  }

  /** Its successor, or another node, has its slots: whatever is here must not be told to anybody. */
  #deposed(why: string): void {
    this.#parts.log.fatal({ node: this.#id, why }, 'another process has the lease of this node; the process stops');
    this.#parts.reportDeath(exitCodes.deposed);
  }

  async #describe(): Promise<DirectoryEntry> {
    const { config, phase } = this.#parts;
    const slots = [...(this.#ownership?.owned().keys() ?? [])].toSorted((a, b) => a - b);
    return {
      kind: this.#sides.data ? 'runtime' : 'gateway',
      id: this.#id,
      version: version(),
      host: hostname(),
      shards: this.#sides.data ? config.shards : 0,
      slots,
      load: await this.#load(),
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
