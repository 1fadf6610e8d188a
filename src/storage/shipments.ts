/**
 * Folders of a slot's tenants that are on their way to another node, or from one, and what is noted beside them.
 *
 *     outgoing/<slot>-<epoch>/tenants/<tenant>/    taken out of service here, not handed over yet
 *         committing                               handing it over was tried: only the slot's record says whether it is done
 *     incoming/<slot>-<epoch>/tenants/<tenant>/    from another node
 *         ready                                    all of it is here, checked and synced
 *     moved/<slot>-<epoch>/                        handed over: the former files, kept for people
 *
 * <epoch> is the slot's under the node that gives it away. Notes are whole or not there. Nothing of this knows threads; who
 * calls it owns the data directory.
 */
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fsyncDirectory } from '../host/directory.ts';
import { writeWhole } from '../host/whole-file.ts';
import { isTenant } from '../protocol/address.ts';
import { dataPaths, look, makeDirectory } from './paths.ts';

export type ShipmentKind = 'outgoing' | 'incoming' | 'moved';
export type ShipmentNote = 'committing' | 'ready';

export interface Shipment {
  readonly kind: ShipmentKind;
  readonly slot: number;
  readonly epoch: number;
  /** Absolute or as the data directory was given. */
  readonly path: string;
}

export function shipmentOf(dataDir: string, kind: ShipmentKind, slot: number, epoch: number): Shipment {
  return { kind, slot, epoch, path: join(dataDir, kind, `${slot}-${epoch}`) };
}

/** The latest last. */
export function listShipments(dataDir: string, kind: ShipmentKind): Shipment[] {
  const folder = join(dataDir, kind);
  if (look(folder) === undefined) return [];
  return readdirSync(folder)
    .map((name) => /^(\d{1,5})-(\d{1,15})$/.exec(name))
    .filter((match) => match !== null)
    .map(([, slot, epoch]) => shipmentOf(dataDir, kind, Number(slot), Number(epoch)))
    .toSorted((a, b) => a.epoch - b.epoch);
}

/** Tenants of which something lies in a data directory, or in a folder that is laid out like one, by name. */
export function tenantsBelow(folder: string): string[] {
  const { tenants } = dataPaths(folder);
  return look(tenants) === undefined ? [] : readdirSync(tenants).filter(isTenant).toSorted();
}

export function beginShipment({ path }: Shipment): void {
  makeDirectory(dataPaths(path).tenants);
}

export function hasNote({ path }: Shipment, note: ShipmentNote): boolean {
  return look(join(path, note)) !== undefined;
}

/** On disk when it returns. */
export function putNote({ path }: Shipment, note: ShipmentNote, text: string): void {
  writeWhole(join(path, note), `${text}\n`);
}

/** Out of the way of every start, and never deleted. @returns where it lies */
export function keepAside(dataDir: string, { path, slot, epoch }: Shipment): string {
  const stem = shipmentOf(dataDir, 'moved', slot, epoch).path;
  let place = stem;
  for (let n = 2; look(place) !== undefined; n += 1) place = `${stem}.${n}`;
  makeDirectory(dirname(place));
  renameSync(path, place);
  fsyncDirectory(dirname(place));
  fsyncDirectory(dirname(path));
  return place;
}

/** With all that is in it. What says that it is whole goes first, so that half of it never looks like all. */
export function removeShipment({ path }: Shipment): void {
  if (look(path) === undefined) return;
  if (look(join(path, 'ready')) !== undefined) {
    rmSync(join(path, 'ready'));
    fsyncDirectory(path);
  }
  rmSync(path, { recursive: true, force: true });
  fsyncDirectory(dirname(path));
}
