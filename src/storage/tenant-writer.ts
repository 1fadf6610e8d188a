/**
 * One tenant's turn in a round of the keeper: what is pending of it goes into its file, then the records of its sessions.
 *
 * Invariants: what belongs to something closed off is held before the file says that it is closed · damage found here closes
 * the tenant off, and its entries are held at once · any other failure leaves all of it pending (failing-tenants.ts), and
 * the file is opened anew the next time, but for a full disk: then nothing was written, and a write may be repeated.
 */
import type { Clock } from '../host/clock.ts';
import type { Address } from '../protocol/address.ts';
import type { Limits } from '../protocol/limits.ts';
import type { FailingTenants } from './failing-tenants.ts';
import type { KeeperMeters } from './meters.ts';
import type { Pending, PendingTenant } from './pending.ts';
import type { Quarantine } from './quarantine.ts';
import { isDamage, isFull } from './sqlite.ts';
import type { TenantFile } from './tenant-file.ts';
import type { TenantFiles } from './tenant-files.ts';
import type { TenantSessions } from './tenant-sessions.ts';
import { entriesOf, prepareWrite } from './tenant-write.ts';

export interface TenantWriterParts {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly pending: Pending;
  readonly files: TenantFiles;
  readonly quarantine: Quarantine;
  readonly failing: FailingTenants;
  readonly sessions: TenantSessions;
  readonly meters: KeeperMeters;
  readonly closeActor: (address: Address, reason: string) => void;
  readonly closeTenant: (tenant: string, reason: string) => void;
}

export class TenantWriter {
  readonly #parts: TenantWriterParts;

  constructor(parts: TenantWriterParts) {
    this.#parts = parts;
  }

  write(tenant: string): void {
    const { pending, quarantine, sessions, files } = this.#parts;
    const batch = pending.tenants.get(tenant);
    if (batch !== undefined && !this.#writeBatch(batch)) sessions.drop(tenant);
    const open = () => (quarantine.reason(tenant) === undefined ? this.#open(tenant) : undefined);
    if (!sessions.write(tenant, open)) files.giveUp(tenant);
  }

  /** @returns false when it stays pending */
  #writeBatch(batch: PendingTenant): boolean {
    const { pending, files, quarantine, failing, closeTenant } = this.#parts;
    const { tenant } = batch;
    const wasOpen = files.isOpen(tenant);
    try {
      if (quarantine.reason(tenant) === undefined) this.#writeFile(batch);
      else quarantine.hold(tenant, entriesOf(batch));
    } catch (error) {
      // On a full disk a file that was open could perhaps not be opened again, and reading must go on.
      if (!wasOpen || !isFull(error)) files.giveUp(tenant);
      if (!isDamage(error) || quarantine.reason(tenant) !== undefined) {
        failing.failed(batch, error);
        return false;
      }
      closeTenant(tenant, error instanceof Error ? error.message : String(error));
      return this.#writeBatch(batch);
    }
    pending.settle(batch);
    failing.wrote(tenant);
    return true;
  }

  #writeFile(batch: PendingTenant): void {
    const { limits, clock, pending, quarantine, closeActor, meters } = this.#parts;
    const { tenant } = batch;
    const file = this.#open(tenant);
    const { write, held, newlyClosed } = prepareWrite(batch, file, clock.now(), limits);
    for (const { type, id, reason } of newlyClosed) closeActor({ tenant, type, id }, reason);
    // Held entries first: once the file closes an actor off, nothing else has them.
    quarantine.hold(tenant, held);
    pending.dropHeld(batch, ({ type, id }) => file.closed.reason(type, id) !== undefined);
    const beganMs = clock.monotonic();
    file.write(write);
    meters.wrote(clock.monotonic() - beganMs);
  }

  #open(tenant: string): TenantFile {
    return this.#parts.files.open(tenant, { create: true, nowMs: this.#parts.clock.now() })!;
  }
}
