/**
 * Which slots this node owns, and how it comes by them and loses them. Main's; shards see nothing of it but the lease.
 *
 *   start ──▶ lease ──▶ slots of its own data ──▶ its share of the free ones ──▶ … ──▶ release: stopped, slots kept
 *                            onTaken(slot, epoch) for each                     onLost(slot), or onDeposed: the process goes
 *
 * Again and again, after each change of the bucket and three times per lease, the picture is looked at and what it asks for is
 * done (slot-claims.ts). Nothing is claimed without a lease.
 *
 * Invariants: a slot is served under one epoch by at most one process that may commit · a slot with data goes to another node
 * only by `handOver` of its owner or by `takeAbandoned`, which a person asked for.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { NatsConnection } from 'nats';
import type { Clock } from '../host/clock.ts';
import type { Lease } from '../host/lease.ts';
import type { Logger } from '../host/log.ts';
import { slotOf } from '../protocol/placement.ts';
import { slots } from '../transport/nats-names.ts';
import { NodeLease } from './node-lease.ts';
import { clearStanding, standingOf } from './node-standing.ts';
import { conflictsOf, type Picture, type Step, stepsOf } from './slot-claims.ts';
import { nextEpoch, nodeKey, type SlotRecord, slotKey } from './slot-records.ts';
import { SlotServing } from './slot-serving.ts';
import { SlotStore } from './slot-store.ts';

export interface OwnershipOptions {
  readonly nc: NatsConnection;
  /** Creates or verifies streams and buckets. */
  readonly ensure: () => Promise<void>;
  /** The node's, from its data directory. */
  readonly id: string;
  /** Letters and digits, new for each run of the process. */
  readonly boot: string;
  readonly lease: Lease;
  readonly leaseMs: number;
  readonly slotGraceMs: number;
  /** How long a node that starts waits for others to show themselves before it takes free slots. */
  readonly settleMs?: number;
  readonly clock: Pick<Clock, 'now' | 'monotonic'>;
  readonly log: Logger;
  /** Begins to serve the slot. When it rejects, nothing of it may be left; it is called again with a higher epoch. */
  readonly onTaken: (slot: number, epoch: number) => Promise<void>;
  /** Ends serving it, after `onTaken` has settled. `onTaken` comes again only when this has settled. */
  readonly onLost: (slot: number) => void | Promise<void>;
  /** The process must end: another one has its lease. */
  readonly onDeposed: (why: string) => void;
}

/** A slot whose data lies here, while another node serves it with data of its own. */
export interface Conflict {
  readonly slot: number;
  readonly owner: string;
}

const amendmentsMax = 5;

export class Ownership {
  readonly store: SlotStore;
  readonly #options: OwnershipOptions;
  readonly #node: NodeLease;
  readonly #serving: SlotServing;
  readonly #owned = new Map<number, number>();
  readonly #data = new Set<number>();
  readonly #marking = new Map<number, Promise<void>>();
  #conflicts = new Map<number, string>();
  #mayShareOut = false;
  #claimLostFromMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  #isDue = false;
  #state: 'new' | 'up' | 'released' = 'new';

  /** @throws Error of `ensure`, or when NATS does not answer */
  static async open(options: OwnershipOptions): Promise<Ownership> {
    const { nc, ensure, id, leaseMs, clock, log } = options;
    const { monotonic } = clock;
    return new Ownership(options, await SlotStore.open({ nc, ensure, self: id, leaseMs, monotonic, log }));
  }

  private constructor(options: OwnershipOptions, store: SlotStore) {
    this.#options = options;
    this.store = store;
    this.#node = new NodeLease({ ...options, store });
    this.#serving = new SlotServing({
      ...options,
      wanted: (slot) => this.#owned.get(slot),
      renumber: (slot) => this.renumber(slot),
    });
    store.onChange(() => this.#look());
    store.onVanished(() => {
      // Live owners write anew what was lost; until they have, nothing is free.
      this.#claimLostFromMs = options.clock.monotonic() + options.leaseMs * 1.5;
    });
  }

  /** Of the node's record. */
  get epoch(): number {
    return this.#node.epoch;
  }

  owned(): ReadonlyMap<number, number> {
    return this.#owned;
  }

  /** Slots that cannot be served until somebody decides. */
  conflicts(): Conflict[] {
    return [...this.#conflicts].map(([slot, owner]) => ({ slot, owner }));
  }

  /** Settles when the slots that are the node's by now are served. @throws Error when NATS does not answer */
  async start({ tenantsOnDisk }: { tenantsOnDisk: readonly string[] }): Promise<void> {
    const { settleMs = 1000 } = this.#options;
    for (const tenant of tenantsOnDisk) this.#data.add(slotOf(tenant, slots));
    await this.#node.start();
    this.#state = 'up';
    await this.#work();
    await delay(settleMs);
    this.#mayShareOut = true;
    await this.#work();
    await Promise.all([...this.#owned.keys()].map((slot) => this.#serving.sync(slot)));
  }

  /** Before the first of a slot's tenants leaves anything on disk. From then on the slot stays with this volume. @throws Error when it is not ours any more, or NATS does not answer */
  markData(slot: number): Promise<void> {
    if (this.#owned.has(slot) && this.#data.has(slot)) return Promise.resolve();
    let marking = this.#marking.get(slot);
    if (marking === undefined) {
      marking = this.#amend(slot, (record) => ({ ...record, hasData: true }))
        .then(() => void this.#data.add(slot))
        .finally(() => this.#marking.delete(slot));
      this.#marking.set(slot, marking);
    }
    return marking;
  }

  /**
   * Gives it to another node, which has its data by now. The slot is lost here at once. `underEpoch`: only while it is served
   * under this one, because the data is what it was then. @throws Error when it is not ours, or NATS does not answer
   */
  async handOver(slot: number, toNode: string, underEpoch?: number): Promise<void> {
    if (standingOf(toNode, this.#picture(), 0) !== 'live')
      throw new Error(`node ${toNode} is not there to take slot ${slot}`);
    await this.#amend(slot, (record) => {
      if (underEpoch !== undefined && record.epoch !== underEpoch)
        throw new Error(`slot ${slot} has another epoch by now, ${record.epoch} instead of ${underEpoch}`);
      return { ...record, owner: toNode, epoch: record.epoch + 1 };
    });
    this.#data.delete(slot);
  }

  /**
   * Serves it anew under a higher epoch. What was tried under the present one, and has no answer yet, cannot happen any more.
   * @throws Error when it is not ours any more, or NATS does not answer
   */
  async renumber(slot: number): Promise<void> {
    await this.#amend(slot, (record) => ({ ...record, epoch: record.epoch + 1 }));
  }

  /** Takes a slot whose owner is away for good, and leaves the data that lies there. @throws Error when the owner is not away */
  async takeAbandoned(slot: number): Promise<void> {
    if (this.#owned.has(slot)) return;
    const { record, revision = 0 } = this.#picture().slots.get(slot) ?? {};
    const standing = record && (await clearStanding(record.owner, () => this.#picture()));
    const { self, nodes, nowMs } = this.#picture();
    const owner = record && nodes.get(record.owner);
    const refusal = `slot ${slot} belongs to node ${record?.owner}, which`;
    if (standing === 'live')
      throw new Error(`${refusal} is there, or was until a moment ago; move the slot without abandoning its data`);
    if (record !== undefined && owner?.record !== undefined && owner.record.state !== 'deposed') {
      const deposed = { ...owner.record, state: 'deposed', atMs: nowMs } as const;
      if ((await this.store.write(nodeKey(record.owner), deposed, owner.revision)) === undefined)
        throw new Error(`${refusal} has just come back`);
    }
    const taken = { owner: self, epoch: nextEpoch(record?.epoch ?? 0, nowMs), hasData: true };
    if ((await this.store.write(slotKey(slot), taken, revision)) === undefined)
      throw new Error(`slot ${slot} was taken by another node at the same moment`);
    this.#data.add(slot);
    this.#own(slot, taken.epoch);
    await this.#serving.sync(slot);
  }

  /** For a clean stop, when everything is committed: the node is stopped, its slots stay its own. */
  async release(): Promise<void> {
    this.#state = 'released';
    clearTimeout(this.#timer);
    this.#serving.stop();
    await this.#round;
    await this.#node.stop();
    await this.store.close();
  }

  #look(): void {
    if (this.#state !== 'up') return;
    this.#isDue = true;
    this.#round ??= this.#rounds().finally(() => {
      this.#round = undefined;
      // Asked for between the last look and now.
      if (this.#isDue) this.#look();
    });
  }

  /** A look that was asked for is over when this settles. */
  async #work(): Promise<void> {
    this.#look();
    while (this.#round !== undefined) await this.#round;
  }

  async #rounds(): Promise<void> {
    while (this.#isDue && this.#state === 'up') {
      this.#isDue = false;
      try {
        if (this.#options.lease.held) await Promise.all(stepsOf(this.#picture()).map((step) => this.#do(step)));
      } catch (error) {
        this.#options.log.warn({ err: error }, 'slots could not be claimed or kept; trying again');
      }
      this.#tellConflicts();
    }
    clearTimeout(this.#timer);
    if (this.#state === 'up') this.#timer = setTimeout(() => this.#look(), this.#options.leaseMs / 3).unref();
  }

  #picture(): Picture {
    const { id, slotGraceMs, clock } = this.#options;
    const { view } = this.store;
    const nowMs = clock.monotonic();
    return {
      self: id,
      nodes: view.nodes,
      slots: view.slots,
      silentMs: (node) => view.silentMs(node),
      owned: this.#owned,
      data: this.#data,
      slotGraceMs,
      mayShareOut: this.#mayShareOut,
      mayClaimLost: nowMs >= this.#claimLostFromMs,
      nowMs: clock.now(),
    };
  }

  async #do(step: Step): Promise<void> {
    const { slot } = step;
    if (step.kind === 'lose') {
      this.#owned.delete(slot);
      void this.#serving.sync(slot);
      return;
    }
    if (step.kind === 'claim' && step.depose !== undefined) {
      const { id, revision, record } = step.depose;
      const deposed = { ...record, state: 'deposed', atMs: this.#options.clock.now() } as const;
      // Another slot's claim may have done it; then the next round goes on.
      if ((await this.store.write(nodeKey(id), deposed, revision)) === undefined) return;
    }
    if ((await this.store.write(slotKey(slot), step.record, step.revision)) === undefined) return;
    if (step.record.hasData) this.#data.add(slot);
    this.#own(slot, step.record.epoch);
  }

  #own(slot: number, epoch: number): void {
    this.#owned.set(slot, epoch);
    void this.#serving.sync(slot);
  }

  /** Changes the record of a slot that is ours. @throws Error when it is not ours any more, or NATS does not answer */
  async #amend(slot: number, change: (record: SlotRecord) => SlotRecord): Promise<void> {
    for (let attempt = 0; attempt < amendmentsMax; attempt += 1) {
      const { record, revision = 0 } = this.store.view.slots.get(slot) ?? {};
      const isOurs = record?.owner === this.#options.id && record.epoch === this.#owned.get(slot);
      if (record === undefined || !isOurs) throw new Error(`slot ${slot} does not belong to this node any more`);
      const changed = change(record);
      if ((await this.store.write(slotKey(slot), changed, revision)) === undefined) continue;
      if (changed.owner === this.#options.id) this.#own(slot, changed.epoch);
      return;
    }
    throw new Error(`slot ${slot} is written by several processes at once`);
  }

  #tellConflicts(): void {
    const conflicts = conflictsOf(this.#picture());
    for (const [slot, owner] of conflicts) {
      if (this.#conflicts.get(slot) === owner) continue;
      this.#options.log.error(
        { slot, owner },
        'tenants of this slot lie in the data directory, but another node owns the slot with data of its own; they are not served here. Hint: decide which data is right, and move the other away',
      );
    }
    this.#conflicts = conflicts;
  }
}
