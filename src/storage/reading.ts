/**
 * One look at an actor: its tenant's file and what is pending of it. Damage that shows closes off the actor or the tenant,
 * and becomes the answer; so does a file that cannot be opened.
 */
import type { Clock } from '../host/clock.ts';
import type { Logger } from '../host/log.ts';
import type { Address } from '../protocol/address.ts';
import { AppError } from '../protocol/errors.ts';
import { PatchError } from '../protocol/json-patch.ts';
import { DamagedActorError } from './damaged-actor.ts';
import { actorKey, type Pending } from './pending.ts';
import type { Quarantine } from './quarantine.ts';
import type { Sources } from './questions.ts';
import { absentTenant, quarantinedActor, quarantinedTenant, unreadableTenant } from './refusals.ts';
import { isDamage } from './sqlite.ts';
import type { TenantFiles } from './tenant-files.ts';

export interface ReadingParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly pending: Pending;
  readonly files: TenantFiles;
  readonly quarantine: Quarantine;
  /** Its data is not here any more. */
  readonly isAway: (tenant: string) => boolean;
  readonly closeActor: (address: Address, reason: string) => void;
  readonly closeTenant: (tenant: string, reason: string) => void;
}

export class Reading {
  readonly #parts: ReadingParts;

  constructor(parts: ReadingParts) {
    this.#parts = parts;
  }

  /** @throws AppError QUARANTINED, OVERLOADED while its slot is away, or READ_ONLY while the tenant's file cannot be read */
  read<T>(address: Address, read: (sources: Sources) => T): T {
    const { clock, log, pending, files, quarantine, isAway, closeActor, closeTenant } = this.#parts;
    const { tenant, type, id } = address;
    try {
      if (isAway(tenant)) throw absentTenant(tenant);
      if (quarantine.reason(tenant) !== undefined) throw quarantinedTenant(tenant);
      const file = files.open(tenant, { create: false, nowMs: clock.now() });
      if (
        file?.closed.reason(type, id) !== undefined ||
        pending.tenants.get(tenant)?.closed.has(actorKey(type, id)) === true
      ) {
        throw quarantinedActor(address);
      }
      return read({ file, pending: pending.actor(address) });
    } catch (error) {
      if (error instanceof AppError) throw error;
      if (error instanceof DamagedActorError || error instanceof PatchError) {
        pending.close(address, error.message);
        closeActor(address, error.message);
        throw quarantinedActor(address);
      }
      files.giveUp(tenant);
      if (!isDamage(error)) {
        const reason = error instanceof Error ? error.message : String(error);
        log.error({ tenant, err: error }, `the file of a tenant cannot be opened: ${reason}`);
        throw unreadableTenant(tenant, error);
      }
      closeTenant(tenant, error instanceof Error ? error.message : String(error));
      throw quarantinedTenant(tenant);
    }
  }
}
