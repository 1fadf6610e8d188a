/**
 * A bridge over shards as they are in production, with journals and tenant files in a folder of their own, all in the test's
 * thread. Only NATS is played by the test.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import type { AppDefinition } from '../../src/actor/definition.ts';
import { type Bridge, openBridge } from '../../src/bridge/bridge.ts';
import { systemClock } from '../../src/host/clock.ts';
import { Vitals } from '../../src/host/vitals.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { Shard } from '../../src/runtime/shard.ts';
import { Journal } from '../../src/storage/journal.ts';
import { KeeperCore } from '../../src/storage/keeper.ts';
import { journalPath } from '../../src/storage/paths.ts';
import { gatewayLink, layCables, shardLink } from '../../src/transport/embedded.ts';
import { inThread } from '../runtime/rig.ts';
import { FakeSlotLink } from './fake-slot-link.ts';
import { silent as log } from './rig.ts';

const limits = { ...defaultLimits, keeperDelayMs: 5 };

export class RealShards {
  readonly nats = new FakeSlotLink();
  readonly bridge: Bridge;
  readonly dataDir: string;
  readonly keeper: KeeperCore;
  readonly #app: AppDefinition;
  readonly #shards: Shard[] = [];
  readonly #link: ReturnType<typeof gatewayLink>;

  constructor(app: AppDefinition, shards: number, dataDir = mkdtempSync(join(tmpdir(), 'fermata-bridge-'))) {
    this.#app = app;
    this.dataDir = dataDir;
    this.keeper = new KeeperCore({ dataDir, limits, log, clock: systemClock, boot: systemClock.id() });
    const { toShards, toGateways } = layCables(1, shards);
    for (const [index, ports] of toGateways.entries()) this.#start(index, shardLink(ports), false);
    this.#link = gatewayLink(toShards[0]!);
    const { nats: slotLink } = this;
    this.bridge = openBridge({ slotLink, link: this.#link, boot: 'this-boot', limits, log, clock: systemClock });
  }

  /** The thread of a shard ends and is started again, as main does it. */
  async crash(index: number): Promise<void> {
    await this.#shards[index]!.stop();
    this.bridge.shardLost(index, 0);
    const { port1, port2 } = new MessageChannel();
    this.#start(index, shardLink([port2]), true);
    this.#link.replace(index, port1);
    this.bridge.shardBack(index);
  }

  /** As when tenants go elsewhere: their actors are loaded from disk when they are back. */
  async emptyMemory(): Promise<void> {
    for (const shard of this.#shards) await shard.deactivateAll();
  }

  /** The process ends; nobody is told goodbye. */
  async stop(): Promise<void> {
    await this.bridge.close();
    for (const shard of this.#shards) await shard.stop();
    this.#link.close();
    this.keeper.close();
  }

  remove(): void {
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  #start(index: number, link: ReturnType<typeof shardLink>, restarted: boolean): void {
    this.#shards[index] = new Shard({
      app: this.#app,
      journal: Journal.open(journalPath(this.dataDir, index)),
      keeper: inThread(this.keeper, index),
      link,
      limits,
      clock: systemClock,
      vitals: new Vitals(),
      log,
      restarted,
    });
  }
}
