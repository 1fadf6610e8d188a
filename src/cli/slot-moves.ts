/**
 * Moving slots, as far as one node has to do with it: as owner, as target, at its start, and whenever a slot comes into service.
 *
 *   start    ──▶ what a former run left on the way: kept for people when another node has the slot, else for `arrive`
 *   takes a slot ──▶ arrive: files into their place ──▶ bridge ──▶ serves: visitors whose session is gone get their goodbye
 *   questions of other nodes and of `fermata move` ──▶ MoveSource, MoveTarget
 */
import { askNode, type ControlHandlers } from '../cluster/control.ts';
import { parseMove, parseMoveName, parsePrepare, parseSlotNumber } from '../cluster/move-questions.ts';
import { MoveSource } from '../cluster/move-source.ts';
import { MoveStore } from '../cluster/move-store.ts';
import { MoveTarget } from '../cluster/move-target.ts';
import type { Ownership } from '../cluster/ownership.ts';
import { parseSlot, type SlotRecord, slotKey } from '../cluster/slot-records.ts';
import type { Logger } from '../host/log.ts';
import type { Phase } from '../host/phase.ts';
import { hasNote, keepAside, listShipments, removeShipment, tenantsBelow } from '../storage/shipments.ts';
import type { NatsClient } from './cluster-connection.ts';
import { SlotFiles, type SlotFilesParts } from './move-files.ts';

export interface SlotMovesParts {
  readonly nc: NatsClient;
  /** The node's. */
  readonly id: string;
  readonly dataDir: string;
  readonly shards: number;
  /** Copies in a NATS cluster. */
  readonly replicas: number;
  readonly keeper: SlotFilesParts['keeper'];
  readonly bridge: {
    take(slot: number, epoch: number): Promise<void>;
    giveUp(slot: number): Promise<void>;
  };
  readonly ownership: () => Ownership;
  readonly phase: Pick<Phase, 'name'>;
  readonly log: Logger;
}

/** That `fermata move` lists. */
const namesMax = 200;

export class SlotMoves {
  readonly #parts: SlotMovesParts;
  readonly #files: SlotFiles;
  readonly #source: MoveSource;
  readonly #target: MoveTarget;
  readonly #served = new Set<number>();

  constructor(parts: SlotMovesParts) {
    const { nc, id, replicas, log, ownership } = parts;
    this.#parts = parts;
    const epochOf = (slot: number): number | undefined => ownership().owned().get(slot);
    this.#files = new SlotFiles({ ...parts, epochOf });
    const common = {
      files: this.#files,
      openStore: (check: () => void) => MoveStore.open({ nc, replicas, check }),
      log,
    };
    this.#source = new MoveSource({
      ...common,
      self: id,
      cluster: {
        epochOf,
        isServed: (slot) => this.#served.has(slot),
        giveUp: (slot) => this.lost(slot),
        handOver: ({ slot, epoch }, to) => ownership().handOver(slot, to, epoch),
        renumber: (slot) => ownership().renumber(slot),
        ownerOf: async (slot) => (await this.#recordOf(slot))?.owner,
        ask: (node, op, argument, timeoutMs) => askNode(nc, node, op, argument, timeoutMs),
      },
    });
    this.#target = new MoveTarget({ ...common, isOwner: (slot) => epochOf(slot) !== undefined });
  }

  /** Before the node takes any slot. @returns tenants that lie aside and are this node's @throws Error when NATS does not answer */
  async settle(): Promise<string[]> {
    const { dataDir, id, log } = this.#parts;
    const tenants: string[] = [];
    for (const shipment of listShipments(dataDir, 'outgoing')) {
      const { slot, epoch, path } = shipment;
      const record = await this.#recordOf(slot);
      if (record?.owner === id || (record === undefined && !hasNote(shipment, 'committing'))) {
        tenants.push(...tenantsBelow(path));
        continue;
      }
      const keptIn = keepAside(dataDir, shipment);
      const facts = { slot, epoch, owner: record?.owner, keptIn };
      if (record === undefined) log.error(facts, lostRecord);
      else if (hasNote(shipment, 'committing'))
        log.info(facts, 'a slot was moved before this start; its former files are kept');
      else log.error(facts, 'another node has taken a slot that this one was moving away; its files are kept');
    }
    for (const shipment of listShipments(dataDir, 'incoming')) {
      const { slot, epoch } = shipment;
      const record = await this.#recordOf(slot);
      const isReady = hasNote(shipment, 'ready');
      if (isReady && record === undefined) log.error({ slot, epoch, keptIn: keepAside(dataDir, shipment) }, lostRecord);
      else if (!isReady || (record?.owner !== id && record?.epoch !== epoch)) removeShipment(shipment);
    }
    this.#parts.ownership().store.onChange(() => this.#dropUnwanted());
    return tenants;
  }

  /** Brings a slot into service. @throws Error; then nothing of it is served, and it may be called again */
  async taken(slot: number, epoch: number): Promise<void> {
    const { bridge, keeper, shards, ownership } = this.#parts;
    await this.#files.arrive(slot);
    const tenants = this.#files.tenants(slot);
    // A slot that is marked keeps nobody waiting at the bridge.
    if (tenants.length > 0) await ownership().markData(slot);
    await bridge.take(slot, epoch);
    this.#served.add(slot);
    // Sessions that live have been presented by now; whoever else was there is told goodbye.
    if (tenants.length > 0) await keeper.ask('closeStale', { shards, tenants });
  }

  /** Takes it out of service. May be called again. */
  async lost(slot: number): Promise<void> {
    this.#served.delete(slot);
    await this.#parts.bridge.giveUp(slot);
  }

  /** The slot that is on its way from here. */
  get moving(): number | undefined {
    return this.#source.moving;
  }

  handlers(): ControlHandlers {
    return {
      move: async (argument) => {
        const { slot, to } = parseMove(argument);
        this.#source.begin(slot, to);
        return this.#source.state;
      },
      moveState: async () => this.#source.state,
      slotTenants: async (argument) => {
        const tenants = this.#files.tenants(parseSlotNumber(argument));
        return { count: tenants.length, names: tenants.slice(0, namesMax) };
      },
      takeAbandoned: async (argument) => await this.#takeAbandoned(parseSlotNumber(argument)),
      prepare: async (argument) => this.#target.prepare(parsePrepare(argument)),
      receive: async (argument) => this.#target.receive(parseMoveName(argument)),
      received: async (argument) => this.#target.received(parseMoveName(argument)),
      discard: async (argument) => await this.#target.discard(parseMoveName(argument)),
      serving: async (argument) => ({ serving: this.#served.has(parseSlotNumber(argument)) }),
    };
  }

  /** What is on its way stays as it is on disk; the next start goes on from there. */
  async stop(): Promise<void> {
    await Promise.all([this.#source.stop(), this.#target.stop()]);
    await this.#files.close();
  }

  /** @returns how many of its tenants there are now: those whose files had come before the owner went */
  async #takeAbandoned(slot: number): Promise<{ tenants: number }> {
    const { dataDir, ownership } = this.#parts;
    const record = await this.#recordOf(slot);
    for (const shipment of listShipments(dataDir, 'incoming')) {
      // What was sent under the present epoch is the slot as it was last served: that is better than nothing.
      if (shipment.slot === slot && shipment.epoch !== record?.epoch) removeShipment(shipment);
    }
    // Before it is served, when the calls that wait make tenants of their own.
    const arrived = listShipments(dataDir, 'incoming').filter((shipment) => shipment.slot === slot);
    const tenants = new Set([...this.#files.tenants(slot), ...arrived.flatMap(({ path }) => tenantsBelow(path))]);
    await ownership().takeAbandoned(slot);
    return { tenants: tenants.size };
  }

  /** What came for a slot that has another epoch by now, and another owner, can never be wanted. */
  #dropUnwanted(): void {
    const { dataDir, id, ownership } = this.#parts;
    const { slots } = ownership().store.view;
    for (const shipment of listShipments(dataDir, 'incoming')) {
      const record = slots.get(shipment.slot)?.record;
      const isReady = this.#target.received(shipment).state !== 'receiving';
      if (record !== undefined && record.owner !== id && record.epoch > shipment.epoch && isReady)
        removeShipment(shipment);
    }
  }

  async #recordOf(slot: number): Promise<SlotRecord | undefined> {
    const found = await this.#parts.ownership().store.read(slotKey(slot));
    return found?.text === undefined ? undefined : parseSlot(found.text);
  }
}

const lostRecord =
  'a slot was being moved when this node stopped, and NATS has lost the record of whose it is; the files are kept and not served. Hint: look where the newer data of these tenants is, and put it into tenants/ there while that node is stopped';
