/**
 * Takes a slot's tenants out of service for good, and into service from where another process left them.
 *
 *   giveAway ─▶ away: questions about the slot are refused ─▶ shards drop its actors ─▶ standstill ─▶ the archived log breaks off
 *            ─▶ tenants/<tenant> becomes <folder>/tenants/<tenant>, one after the other
 *   welcome  ─▶ <folder>/tenants/<tenant> becomes tenants/<tenant> ─▶ questions are answered again
 *
 * Both may be cut off at any point and called again: a tenant lies in one place or in the other, never in both. A slot that was
 * given away stays so until it is welcomed; what still comes of it is refused, because it would begin an empty file.
 *
 * The line of history goes on in the file that moves, so that it keeps its epoch, and who comes back gets what was missed.
 */
import { renameSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fsyncDirectory } from '../host/directory.ts';
import { slotOf } from '../protocol/placement.ts';
import { OperationError } from './operation-error.ts';
import { dataPaths, look, makeDirectory, refuseForeign, tenantDirectory } from './paths.ts';
import type { Quarantine } from './quarantine.ts';
import type { ShardListeners } from './shard-listeners.ts';
import { tenantsBelow } from './shipments.ts';
import type { TenantFiles } from './tenant-files.ts';
import type { TenantSessions } from './tenant-sessions.ts';
import type { TenantStandstill } from './tenant-standstill.ts';

export interface SlotTransferParts {
  readonly dataDir: string;
  readonly files: TenantFiles;
  readonly quarantine: Quarantine;
  readonly sessions: TenantSessions;
  readonly listeners: ShardListeners;
  readonly standstill: TenantStandstill;
}

export interface SlotName {
  readonly slot: number;
  /** How many there are in all. */
  readonly slots: number;
}

export interface GiveAwayRequest extends SlotName {
  /** A folder on the data directory's file system. */
  readonly to: string;
  /** All of them must be in service. */
  readonly shards: number;
}

export interface WelcomeRequest extends SlotName {
  /** Folders with tenants of the slot, in the order in which they are put into place. */
  readonly from: readonly string[];
  readonly shards: number;
}

export interface Welcomed {
  readonly tenants: readonly string[];
  /** Where files lie now that were in the place of some, below the data directory. */
  readonly aside: readonly string[];
}

/** A backup that copies one of the files is waited for. */
const copyMsMax = 30_000;
const lookMs = 50;

export class SlotTransfer {
  readonly #parts: SlotTransferParts;
  readonly #away = new Map<number, SlotName>();

  constructor(parts: SlotTransferParts) {
    this.#parts = parts;
  }

  /** Its slot was given away. */
  isAway(tenant: string): boolean {
    for (const name of this.#away.values()) if (isIn(name, tenant)) return true;
    return false;
  }

  /** @returns the tenants in the folder @throws OperationError, SqliteError; then some may lie there, and the slot stays away */
  async giveAway({ slot, slots, to, shards }: GiveAwayRequest): Promise<readonly string[]> {
    const { dataDir, files, sessions, listeners, standstill } = this.#parts;
    const name = { slot, slots };
    const own = (): string[] => tenantsBelow(dataDir).filter((tenant) => isIn(name, tenant));
    this.#refuseQuarantined(own());
    await waitUntil(() => !own().some((tenant) => files.isPinned(tenant)));
    this.#away.set(slot, name);
    const drop = (): void => listeners.left(slot, slots);
    await standstill.reach({ concerns: (tenant) => isIn(name, tenant), shards, drop });
    for (const tenant of sessions.tenants) if (isIn(name, tenant)) sessions.drop(tenant);
    const tenants = own();
    this.#refuseQuarantined(tenants);
    for (const tenant of tenants) await standstill.breakOff(tenant);
    makeDirectory(dataPaths(to).tenants);
    for (const tenant of tenants) {
      if (files.isPinned(tenant)) throw new OperationError(`tenant "${tenant}" is being backed up`, 'Try again then.');
      files.close(tenant);
      files.forget(tenant);
      const place = tenantDirectory(dataDir, tenant);
      if (look(join(place, 'tenant.db-wal')) !== undefined)
        throw new OperationError(`the file in ${place} could not be closed: somebody else has it open`);
      moveDirectory(place, tenantDirectory(to, tenant));
    }
    return tenantsBelow(to);
  }

  /** @throws OperationError, or Error of the file system; then it may be called again */
  async welcome({ slot, slots, from, shards }: WelcomeRequest): Promise<Welcomed> {
    const { dataDir } = this.#parts;
    const name = { slot, slots };
    const tenants = new Set<string>();
    const aside: string[] = [];
    for (const folder of from) {
      for (const tenant of tenantsBelow(folder)) {
        if (!isIn(name, tenant)) throw new OperationError(`tenant "${tenant}" in ${folder} is not one of slot ${slot}`);
        const former = await this.#clear(tenant, shards);
        if (former !== undefined) aside.push(relative(dataDir, former));
        makeDirectory(dataPaths(dataDir).tenants);
        moveDirectory(tenantDirectory(folder, tenant), tenantDirectory(dataDir, tenant));
        this.#parts.quarantine.lookAgain(tenant);
        tenants.add(tenant);
      }
    }
    this.#away.delete(slot);
    return { tenants: [...tenants], aside };
  }

  /** What lies in the tenant's place is moved aside. @returns where to; undefined when there was nothing */
  async #clear(tenant: string, shards: number): Promise<string | undefined> {
    const { dataDir, files, quarantine, listeners, standstill } = this.#parts;
    const place = tenantDirectory(dataDir, tenant);
    if (look(place) === undefined) return undefined;
    refuseForeign(place, 'directory');
    const drop = (): void => listeners.quarantined({ tenant, type: '', id: '' });
    await standstill.reach({ concerns: (name) => name === tenant, shards, drop });
    await standstill.breakOff(tenant);
    files.giveUp(tenant);
    files.forget(tenant);
    const aside = quarantine.placeFor(`${tenant}-replaced`);
    makeDirectory(dirname(aside));
    moveDirectory(place, aside);
    quarantine.lookAgain(tenant);
    return aside;
  }

  #refuseQuarantined(tenants: readonly string[]): void {
    for (const tenant of tenants) {
      const reason = this.#parts.quarantine.reason(tenant);
      if (reason === undefined) continue;
      throw new OperationError(
        `tenant "${tenant}" is quarantined (${reason}), and moves only when it is sound`,
        'See: fermata quarantine list',
      );
    }
  }
}

function isIn({ slot, slots }: SlotName, tenant: string): boolean {
  return slotOf(tenant, slots) === slot;
}

/** Both names survive a power cut once it returns. */
function moveDirectory(from: string, to: string): void {
  if (look(to) !== undefined) throw new OperationError(`${to} is in the way of ${basename(from)}`);
  renameSync(from, to);
  fsyncDirectory(dirname(to));
  fsyncDirectory(dirname(from));
}

async function waitUntil(isSo: () => boolean): Promise<void> {
  for (let waitedMs = 0; !isSo(); waitedMs += lookMs) {
    if (waitedMs >= copyMsMax)
      throw new OperationError('a tenant of the slot is being backed up', 'Try again when that is done.');
    await sleep(lookMs);
  }
}
