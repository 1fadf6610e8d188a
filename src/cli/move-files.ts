/**
 * What a move does with the files of a slot on this node's disk, as owner, as target, and when the slot comes into service:
 * folders of storage/shipments.ts, moved by the keeper, checked by another thread.
 *
 * Whatever the keeper does with a slot's files is done one thing after the other, and looked at again before it begins: a slot
 * that is served under another epoch by now is not packed any more.
 */
import { statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { VerifyPool } from '../backup/verify-pool.ts';
import type { MoveFiles } from '../cluster/move-source.ts';
import type { MoveName } from '../cluster/move-store.ts';
import type { ArrivalFiles } from '../cluster/move-target.ts';
import { fsyncDirectory } from '../host/directory.ts';
import type { Logger } from '../host/log.ts';
import type { Phase } from '../host/phase.ts';
import { slotOf } from '../protocol/placement.ts';
import { tenantFormat } from '../storage/migrations.ts';
import { dataPaths, look, makeDirectory, tenantDirectory } from '../storage/paths.ts';
import { readMarker } from '../storage/quarantine.ts';
import {
  beginShipment,
  hasNote,
  keepAside,
  listShipments,
  putNote,
  removeShipment,
  type Shipment,
  type ShipmentKind,
  shipmentOf,
  tenantsBelow,
} from '../storage/shipments.ts';
import type { Welcomed } from '../storage/slot-transfer.ts';
import { slots } from '../transport/nats-names.ts';
import { readableBytes } from './readable.ts';

export interface SlotFilesParts {
  readonly dataDir: string;
  readonly shards: number;
  /** The keeper thread. */
  readonly keeper: { ask<T = void>(question: string, argument?: unknown): Promise<T> };
  /** The epoch under which this node owns the slot; undefined when it does not. */
  readonly epochOf: (slot: number) => number | undefined;
  readonly phase: Pick<Phase, 'name'>;
  readonly log: Logger;
}

/** Beside the files themselves: journals, and what others write meanwhile. */
const spareBytes = 64 * 1024 * 1024;

export class SlotFiles implements MoveFiles, ArrivalFiles {
  readonly #parts: SlotFilesParts;
  readonly #pool = new VerifyPool();
  /** Slots whose tenants the keeper refuses, because it gave them away. */
  readonly #away = new Set<number>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: SlotFilesParts) {
    this.#parts = parts;
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  /** Names of the slot's tenants. */
  tenants(slot: number): string[] {
    return tenantsBelow(this.#parts.dataDir).filter((tenant) => slotOf(tenant, slots) === slot);
  }

  // As owner.

  look(slot: number): { tenants: number; bytes: number; format: number } {
    const { dataDir } = this.#parts;
    const tenants = this.tenants(slot);
    let bytes = 0;
    for (const tenant of tenants) {
      const marker = readMarker(dataDir, tenant);
      if (marker !== undefined)
        throw new Error(`tenant "${tenant}" is quarantined (${marker.reason}), and moves only when it is sound`);
      const path = join(tenantDirectory(dataDir, tenant), 'tenant.db');
      bytes += (look(path)?.size ?? 0) + (look(`${path}-wal`)?.size ?? 0);
    }
    return { tenants: tenants.length, bytes, format: tenantFormat.steps.length };
  }

  pack(move: MoveName): Promise<{ tenant: string; path: string; bytes: number }[]> {
    return this.#inTurn(async () => {
      const { keeper, shards, epochOf } = this.#parts;
      const { slot, epoch } = move;
      if (epochOf(slot) !== epoch) throw new Error(`slot ${slot} has another epoch by now`);
      const shipment = this.#shipment('outgoing', move);
      beginShipment(shipment);
      this.#away.add(slot);
      const tenants = await keeper.ask<string[]>('giveAway', { slot, slots, to: shipment.path, shards });
      return tenants.flatMap((tenant) => {
        const path = join(tenantDirectory(shipment.path, tenant), 'tenant.db');
        // A directory alone is a tenant of which nothing was written yet.
        return look(path) === undefined ? [] : [{ tenant, path, bytes: statSync(path).size }];
      });
    });
  }

  noteCommit(move: MoveName): void {
    putNote(this.#shipment('outgoing', move), 'committing', '');
  }

  keep(move: MoveName): string | undefined {
    const shipment = this.#shipment('outgoing', move);
    if (tenantsBelow(shipment.path).length > 0) return keepAside(this.#parts.dataDir, shipment);
    removeShipment(shipment);
    return undefined;
  }

  // As target.

  refusal({ slot, bytes, format }: { slot: number; bytes: number; format: number }): string | undefined {
    const { dataDir, phase } = this.#parts;
    if (phase.name !== 'ready') return `the target is ${phase.name}`;
    if (format > tenantFormat.steps.length)
      return 'the target runs an older version of Fermata, which could not read the files';
    if (this.#shipments('outgoing', slot).length > 0)
      return `the target is not done with moving slot ${slot} away; try again in a moment`;
    const { bavail, bsize } = statfsSync(dataDir);
    const freeBytes = bavail * bsize;
    if (freeBytes < bytes + spareBytes)
      return `the target has ${readableBytes(freeBytes)} left on its disk, and the files have ${readableBytes(bytes)}`;
    return undefined;
  }

  begin(move: MoveName): void {
    for (const former of this.#shipments('incoming', move.slot)) removeShipment(former);
    beginShipment(this.#shipment('incoming', move));
  }

  place(move: MoveName, tenant: string): string {
    const directory = tenantDirectory(this.#shipment('incoming', move).path, tenant);
    makeDirectory(directory);
    return join(directory, 'tenant.db');
  }

  async verify(path: string, tenant: string): Promise<void> {
    await this.#pool.verify(path, tenant);
  }

  finish(move: MoveName): void {
    const shipment = this.#shipment('incoming', move);
    for (const tenant of tenantsBelow(shipment.path)) fsyncDirectory(tenantDirectory(shipment.path, tenant));
    fsyncDirectory(dataPaths(shipment.path).tenants);
    putNote(shipment, 'ready', '');
  }

  discard(move: MoveName): void {
    removeShipment(this.#shipment('incoming', move));
  }

  // When the slot comes into service.

  /** What lies aside for a slot that is ours now goes into its place. @returns the tenants that came @throws Error; then it may be called again */
  arrive(slot: number): Promise<readonly string[]> {
    return this.#inTurn(async () => {
      const { dataDir, keeper, shards, log } = this.#parts;
      const incoming = this.#shipments('incoming', slot);
      const latest = incoming.findLast((shipment) => hasNote(shipment, 'ready'));
      for (const shipment of incoming) if (shipment !== latest) removeShipment(shipment);
      const from: Shipment[] = [];
      for (const shipment of this.#shipments('outgoing', slot)) {
        if (latest === undefined || shipment.epoch > latest.epoch) from.push(shipment);
        // It went away with those, and has come back with newer ones.
        else keepAside(dataDir, shipment);
      }
      if (latest !== undefined) from.push(latest);
      if (from.length === 0 && !this.#away.has(slot)) return [];
      const folders = from.map(({ path }) => path);
      const { tenants, aside } = await keeper.ask<Welcomed>('welcome', { slot, slots, from: folders, shards });
      this.#away.delete(slot);
      for (const shipment of from) removeShipment(shipment);
      if (aside.length > 0)
        log.warn(
          { slot, aside },
          'tenants of a slot that has come lay here already; their former files were moved aside',
        );
      if (tenants.length > 0) log.info({ slot, tenants: tenants.length }, 'files of a slot were put into their place');
      return tenants;
    });
  }

  #shipment(kind: ShipmentKind, { slot, epoch }: MoveName): Shipment {
    return shipmentOf(this.#parts.dataDir, kind, slot, epoch);
  }

  #shipments(kind: ShipmentKind, slot: number): Shipment[] {
    return listShipments(this.#parts.dataDir, kind).filter((shipment) => shipment.slot === slot);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }
}
