/** What the tests of the cluster share: connections to a real nats-server, and nodes of which several live in one process. */
import { connect, type NatsConnection } from 'nats';
import { Ownership, type OwnershipOptions } from '../../src/cluster/ownership.ts';
import { nodeKey, type NodeRecord, slotKey, type SlotRecord } from '../../src/cluster/slot-records.ts';
import { SlotStore } from '../../src/cluster/slot-store.ts';
import { systemClock } from '../../src/host/clock.ts';
import { Lease } from '../../src/host/lease.ts';
import { createLog } from '../../src/host/log.ts';
import { ensureStreams } from '../../src/transport/nats-streams.ts';
import type { NatsServer } from '../support/nats-server.ts';

export const silentLog = createLog({ level: 'silent', pretty: false }, 'test');
/** Short enough to wait for, long enough for a busy machine. */
export const leaseMs = 1500;

export async function dial(server: NatsServer): Promise<NatsConnection> {
  return await connect({
    servers: server.url,
    reconnectTimeWait: 50,
    reconnectJitter: 20,
    maxReconnectAttempts: -1,
    pingInterval: 500,
    maxPingOut: 2,
  });
}

export function ensureOn(nc: NatsConnection): () => Promise<void> {
  return async () => await ensureStreams(nc, { replicas: 1, callsBytesMax: 16 * 1024 * 1024 });
}

/** A store that only looks and writes what a test tells it to. */
export async function openStore(nc: NatsConnection): Promise<SlotStore> {
  const { monotonic } = systemClock;
  return await SlotStore.open({ nc, ensure: ensureOn(nc), leaseMs, monotonic, log: silentLog });
}

export async function writeRecord(
  nc: NatsConnection,
  name: { node: string } | { slot: number },
  record: NodeRecord | SlotRecord,
): Promise<void> {
  const kv = await nc.jetstream().views.kv('fermata_slots', { bindOnly: true });
  await kv.put('node' in name ? nodeKey(name.node) : slotKey(name.slot), JSON.stringify(record));
}

export function nodeRecord(part: Partial<NodeRecord> = {}): NodeRecord {
  return { epoch: 1, boot: 'bootofanother', state: 'up', leaseMs, atMs: Date.now(), ...part };
}

/** One node: its own connection, lease and memory of what it was told. */
export class TestNode {
  readonly id: string;
  readonly lease: Lease;
  readonly nc: NatsConnection;
  readonly ownership: Ownership;
  /** In order: what it was told of slots. */
  readonly told: { slot: number; epoch: number | 'lost' }[];
  readonly deposed: string[];

  static async open(server: NatsServer, id: string, options: Partial<OwnershipOptions> = {}): Promise<TestNode> {
    const nc = await dial(server);
    const told: TestNode['told'] = [];
    const deposed: string[] = [];
    const lease = new Lease();
    const ownership = await Ownership.open({
      nc,
      ensure: ensureOn(nc),
      id,
      boot: Math.random().toString(36).slice(2, 12).padEnd(10, '0'),
      lease,
      leaseMs,
      slotGraceMs: 60_000,
      settleMs: 300,
      clock: systemClock,
      log: silentLog,
      onTaken: async (slot, epoch) => {
        told.push({ slot, epoch });
      },
      onLost: (slot) => {
        told.push({ slot, epoch: 'lost' });
      },
      onDeposed: (why) => deposed.push(why),
      ...options,
    });
    return new TestNode(id, nc, lease, ownership, told, deposed);
  }

  private constructor(
    id: string,
    nc: NatsConnection,
    lease: Lease,
    ownership: Ownership,
    told: TestNode['told'],
    deposed: string[],
  ) {
    this.id = id;
    this.nc = nc;
    this.lease = lease;
    this.ownership = ownership;
    this.told = told;
    this.deposed = deposed;
  }

  get slots(): number[] {
    return [...this.ownership.owned().keys()].toSorted((a, b) => a - b);
  }

  async start(tenantsOnDisk: readonly string[] = []): Promise<this> {
    await this.ownership.start({ tenantsOnDisk });
    return this;
  }

  /** A clean stop. */
  async stop(): Promise<void> {
    await this.ownership.release();
    await this.nc.close();
  }

  /** As if the process had died. */
  async die(): Promise<void> {
    await this.nc.close();
    await this.ownership.release();
  }
}
