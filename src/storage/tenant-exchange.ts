/**
 * Puts a restored file in the place of a tenant's, or one actor of it into the tenant's file, while others are served.
 *
 *   freeze: questions about the tenant wait ─▶ standstill (tenant-standstill.ts) ─▶ the archived log breaks off
 *          ─▶ exchange the file ─▶ thaw
 *
 * Nothing is exchanged when any step before fails.
 * Invariants: the former file is kept aside · at each moment one of the two files lies whole in its place · the restored
 * one has an epoch of its own, so that nobody resumes a stream from numbers of the other.
 */
import { copyFileSync, linkSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import type { Clock } from '../host/clock.ts';
import { fsyncDirectory } from '../host/directory.ts';
import { copyActor } from './copy-actor.ts';
import { OperationError } from './operation-error.ts';
import { look, makeDirectory, tenantDirectory } from './paths.ts';
import type { Pending } from './pending.ts';
import type { Quarantine } from './quarantine.ts';
import type { ShardListeners } from './shard-listeners.ts';
import { TenantFile } from './tenant-file.ts';
import type { TenantFiles } from './tenant-files.ts';
import type { TenantStandstill } from './tenant-standstill.ts';

export interface TenantExchangeParts {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly pending: Pending;
  readonly files: TenantFiles;
  readonly quarantine: Quarantine;
  readonly listeners: ShardListeners;
  readonly standstill: TenantStandstill;
}

export interface ExchangeRequest {
  readonly tenant: string;
  /** A data directory of its own that holds the tenant's file, on the same file system. The file is taken out of it. */
  readonly from: string;
  /** Whether there may be something in its place. */
  readonly replace: boolean;
  /** This actor only. */
  readonly actor?: { readonly type: string; readonly id: string };
  /** All of them must be in service. */
  readonly shards: number;
}

export interface Exchanged {
  /** Where the former file lies now, below the data directory; undefined when there was none. */
  readonly movedTo?: string;
}

export class TenantExchange {
  readonly #parts: TenantExchangeParts;
  readonly #frozen = new Map<string, Promise<void>>();

  constructor(parts: TenantExchangeParts) {
    this.#parts = parts;
  }

  /** Settles when the tenant can be asked about again; undefined when it can be now. */
  frozen(tenant: string): Promise<void> | undefined {
    return this.#frozen.get(tenant);
  }

  /** @throws OperationError, CommitError, SqliteError; then nothing was exchanged */
  async exchange(request: ExchangeRequest): Promise<Exchanged> {
    const { tenant, from, replace, actor } = request;
    if (this.#frozen.has(tenant))
      throw new OperationError(`tenant "${tenant}" is being restored already`, 'Wait for that to end.');
    if (look(fileOf(from, tenant)) === undefined)
      throw new OperationError(`there is no file of tenant "${tenant}" in ${from}`);
    if (!replace) this.#refuseExisting(tenant, actor);
    let thaw = (): void => undefined;
    this.#frozen.set(
      tenant,
      new Promise((resolve) => {
        thaw = resolve;
      }),
    );
    try {
      await this.#letGo(request);
      await this.#parts.standstill.breakOff(tenant);
      return actor === undefined ? this.#putFile(tenant, from) : this.#putActor(tenant, from, actor);
    } finally {
      this.#parts.files.giveUp(tenant);
      this.#frozen.delete(tenant);
      thaw();
    }
  }

  #refuseExisting(tenant: string, actor: ExchangeRequest['actor']): void {
    const { dataDir, clock, files, quarantine, pending } = this.#parts;
    if (quarantine.reason(tenant) !== undefined)
      throw new OperationError(
        `tenant "${tenant}" is quarantined: ${quarantine.reason(tenant)}`,
        'With --replace the restored file takes its place, and the quarantine ends.',
      );
    if (actor !== undefined) {
      const { type, id } = actor;
      const file = files.open(tenant, { create: false, nowMs: clock.now() });
      const isPending = pending.actor({ tenant, type, id }) !== undefined;
      if (file === undefined || (file.actors.seq(type, id) === 0 && !isPending)) return;
      throw new OperationError(
        `actor ${type}/${id} of tenant "${tenant}" exists`,
        'Give --replace to put the restored one in its place.',
      );
    }
    if (look(fileOf(dataDir, tenant)) === undefined && !pending.tenants.has(tenant)) return;
    throw new OperationError(
      `tenant "${tenant}" exists`,
      'Give --replace to put the restored one in its place, or --as another-name to have both.',
    );
  }

  async #letGo({ tenant, shards, actor }: ExchangeRequest): Promise<void> {
    const { listeners, quarantine, standstill } = this.#parts;
    if (actor !== undefined && quarantine.reason(tenant) !== undefined)
      throw new OperationError(
        `tenant "${tenant}" as a whole is quarantined: ${quarantine.reason(tenant)}`,
        'Restore the tenant, without --actor.',
      );
    const drop = (): void => listeners.quarantined({ tenant, type: '', id: '' });
    await standstill.reach({ concerns: (name) => name === tenant, shards, drop });
  }

  #putFile(tenant: string, from: string): Exchanged {
    const { dataDir, clock, files, quarantine } = this.#parts;
    const options = { create: false, nowMs: clock.now(), boot: clock.id() };
    const isOpen = quarantine.reason(tenant) === undefined;
    const writes = isOpen ? files.open(tenant, options)?.writes : undefined;
    const restored = TenantFile.open(from, tenant, options)!;
    try {
      restored.setEpoch(clock.id(), writes);
    } finally {
      restored.close();
    }
    files.close(tenant);
    const place = fileOf(dataDir, tenant);
    makeDirectory(dirname(place));
    if (look(`${place}-wal`) !== undefined || look(`${fileOf(from, tenant)}-wal`) !== undefined)
      throw new OperationError(`${place} or its successor could not be closed: somebody else has it open`);
    const aside = look(place) === undefined ? undefined : this.#aside(tenant);
    if (aside !== undefined) linkSync(place, join(aside, basename(place)));
    if (aside !== undefined) fsyncDirectory(aside);
    // A mark would belong to the former file.
    rmSync(`${place}-mark`, { force: true });
    renameSync(fileOf(from, tenant), place);
    fsyncDirectory(dirname(place));
    quarantine.reopen(tenant);
    return moved(dataDir, aside);
  }

  #putActor(tenant: string, from: string, { type, id }: { type: string; id: string }): Exchanged {
    const { dataDir, clock, files } = this.#parts;
    const options = { create: false, nowMs: clock.now(), boot: clock.id() };
    if (look(fileOf(dataDir, tenant)) === undefined)
      throw new OperationError(`there is no tenant "${tenant}"`, 'Restore the whole tenant, without --actor.');
    // Closed, because a copy of an open file would take the locks of its connection away.
    files.close(tenant);
    const aside = this.#aside(tenant);
    copyFileSync(fileOf(dataDir, tenant), join(aside, 'tenant.db'));
    fsyncDirectory(aside);
    const live = files.open(tenant, options)!;
    const restored = TenantFile.open(from, tenant, options)!;
    try {
      copyActor(restored, live, type, id);
      live.setEpoch(clock.id());
    } finally {
      restored.close();
    }
    return moved(dataDir, aside);
  }

  #aside(tenant: string): string {
    const aside = this.#parts.quarantine.placeFor(`${tenant}-replaced`);
    makeDirectory(aside);
    return aside;
  }
}

function fileOf(dataDir: string, tenant: string): string {
  return join(tenantDirectory(dataDir, tenant), 'tenant.db');
}

function moved(dataDir: string, aside: string | undefined): Exchanged {
  return aside === undefined ? {} : { movedTo: relative(dataDir, aside) };
}
