/**
 * Tenants whose file cannot be written at the moment: the rest of the server must not feel it.
 *
 *   a write fails ──▶ shards hear readOnly(tenant, true); tried again each second, while the other tenants go on
 *   5 s later     ──▶ what is pending of it is spilled, so that no journal waits for this tenant any more
 *   a write works ──▶ shards hear readOnly(tenant, false); what was spilled is in the tenant's file now, and dropped
 *
 * Spilled entries stay pending: questions are answered from them, and the next write holds them. After a restart they are
 * pending again before any journal is read. Killed between a tenant's write and the drop, they are written once more, which
 * changes nothing, because states are compared by number and outcomes by time. What may lie spilled is bounded;
 * past it rows wait in the journals, whose own bound pushes back at the callers. So it also is on a disk that is full:
 * there spilling fails like everything else.
 */
import type { Clock } from '../host/clock.ts';
import type { Logger } from '../host/log.ts';
import { isTenant } from '../protocol/address.ts';
import { crcHolds, readParts } from './entry.ts';
import type { HeldEntries } from './held-entries.ts';
import type { Pending, PendingTenant } from './pending.ts';
import { DamagedFileError } from './sqlite.ts';
import { entriesOf } from './tenant-write.ts';

export interface FailingTenantsParts {
  readonly pending: Pending;
  readonly spilled: HeldEntries;
  readonly clock: Clock;
  readonly log: Logger;
  /** Of all tenants together: it lies in memory, too. */
  readonly spilledCharsMax: number;
  readonly onChange: (tenant: string, failing: boolean) => void;
}

/** Long enough that a passing trouble costs no second file, short enough that journals hold what comes meanwhile. */
const spillAfterMs = 5000;
export const retryMs = 1000;

interface Failing {
  readonly sinceMs: number;
  retryAtMs: number;
}

export class FailingTenants {
  readonly #parts: FailingTenantsParts;
  readonly #failing = new Map<string, Failing>();
  /** Characters that lie spilled, by tenant. */
  readonly #spilledChars = new Map<string, number>();
  #refusalLogged = false;
  /** When it fails for one, it need not be tried for all the others in the same second. */
  #spillAtMs = 0;

  constructor(parts: FailingTenantsParts) {
    this.#parts = parts;
  }

  get names(): Iterable<string> {
    return this.#failing.keys();
  }

  get any(): boolean {
    return this.#failing.size > 0;
  }

  get count(): number {
    return this.#failing.size;
  }

  /** Its last write failed, and the next comes later. */
  isWaiting(tenant: string): boolean {
    const failing = this.#failing.get(tenant);
    // Timers may be a little early.
    return failing !== undefined && failing.retryAtMs - this.#parts.clock.monotonic() > 10;
  }

  /** Entries of it lie beside the journals, and would be written again after a restart. */
  hasSpilled(tenant: string): boolean {
    return this.#spilledChars.has(tenant);
  }

  /** Characters that are pending of them. */
  get chars(): number {
    let chars = 0;
    for (const tenant of this.#failing.keys()) chars += this.#parts.pending.tenants.get(tenant)?.chars ?? 0;
    return chars;
  }

  /** Takes back what was spilled before a restart. @returns tenants of which entries are damaged @throws as HeldEntries.read */
  recall(): Set<string> {
    const damaged = new Set<string>();
    const { pending, spilled } = this.#parts;
    for (const { tenant, entry } of spilled.read()) {
      if (!isTenant(tenant)) throw new DamagedFileError(`${spilled.path}: nobody can tell whose an entry is`);
      this.#spilledChars.set(tenant, (this.#spilledChars.get(tenant) ?? 0) + entry.length);
      if (crcHolds(entry) && readParts(entry).address.tenant === tenant) pending.recall(entry);
      else damaged.add(tenant);
    }
    return damaged;
  }

  /** A write failed. */
  failed(batch: PendingTenant, error: unknown): void {
    const { clock, log, onChange } = this.#parts;
    const { tenant } = batch;
    const nowMs = clock.monotonic();
    const known = this.#failing.get(tenant);
    this.#failing.set(tenant, { sinceMs: known?.sinceMs ?? nowMs, retryAtMs: nowMs + retryMs });
    if (known === undefined) {
      log.error(
        { tenant, err: error },
        'a tenant file cannot be written; the tenant is read-only, its entries are kept and tried again each second',
      );
      onChange(tenant, true);
    } else if (nowMs - known.sinceMs >= spillAfterMs) this.#spill(batch);
  }

  /** A write worked, and everything that was pending of the tenant is in its file. */
  wrote(tenant: string): void {
    if (this.#spilledChars.has(tenant)) this.#drop(tenant);
    if (!this.#failing.delete(tenant)) return;
    this.#parts.log.info({ tenant }, 'the tenant file is written again');
    this.#parts.onChange(tenant, false);
  }

  #spill(batch: PendingTenant): void {
    const { pending, spilled, log, clock } = this.#parts;
    const { tenant } = batch;
    if (batch.rows.length === 0 || batch.heldByDamage || clock.monotonic() < this.#spillAtMs) return;
    const entries = batch.unspilled ?? entriesOf(batch);
    const before = this.#spilledChars.get(tenant) ?? 0;
    const chars = entries.reduce((sum, entry) => sum + entry.length, 0);
    if (!this.#fits(chars)) return this.#refused(tenant, new Error('too much lies there already'));
    try {
      spilled.hold(tenant, entries);
    } catch (error) {
      this.#spillAtMs = clock.monotonic() + retryMs / 2;
      return this.#refused(tenant, error);
    }
    this.#refusalLogged = false;
    this.#spilledChars.set(tenant, before + chars);
    pending.spilled(batch);
    if (before === 0)
      log.warn(
        { tenant, file: spilled.path },
        'entries of a tenant that cannot be written are kept beside the journals',
      );
  }

  #fits(chars: number): boolean {
    let total = chars;
    for (const each of this.#spilledChars.values()) total += each;
    return total <= this.#parts.spilledCharsMax;
  }

  #refused(tenant: string, error: unknown): void {
    if (!this.#refusalLogged)
      this.#parts.log.error(
        { tenant, err: error, file: this.#parts.spilled.path },
        'entries of tenants that cannot be written stay in the journals, which may fill',
      );
    this.#refusalLogged = true;
  }

  #drop(tenant: string): void {
    try {
      this.#parts.spilled.drop(tenant);
      this.#spilledChars.delete(tenant);
    } catch (error) {
      // Harmless: they are written once more after the next start, or dropped with the tenant's next write.
      this.#parts.log.warn(
        { tenant, err: error },
        'spilled entries that are in their tenant file could not be dropped yet',
      );
    }
  }
}
