/**
 * The keeper: brings tenant files up to date behind the journals, and answers what an actor's state is.
 *
 *   shards ── committed(row) ──▶ pending, per tenant ── after keeperDelayMs, one transaction per tenant ──▶ tenant files
 *   shards ◀── synced(journalSeq) ── when every entry up to there is fsynced in its tenant file
 *   shards ── load, outcome ──▶ the file's content with pending entries on top
 *
 * Invariants: an entry leaves `pending` only when a file holds it, fsynced: the tenant's, or the file of held entries ·
 * a full or failing disk loses nothing: pending stays, writing is tried again each second, and the journals' bound
 * pushes back at the callers · damage closes off an actor or a tenant, never the process · nothing here knows threads.
 */
import type { Clock } from '../host/clock.ts';
import type { Logger } from '../host/log.ts';
import type { Address } from '../protocol/address.ts';
import { AppError } from '../protocol/errors.ts';
import { PatchError } from '../protocol/json-patch.ts';
import type { Limits } from '../protocol/limits.ts';
import { coalesce, needsBase } from './coalesce.ts';
import type { JournalRow, LoadedActor, StoredOutcome } from './contract.ts';
import { decodeCall, isCallOf } from './entry.ts';
import { FlushTimer } from './flush-timer.ts';
import type { Damage } from './journal-row.ts';
import { NewerFileError } from './migrations.ts';
import { actorKey, Pending, type PendingActor, type PendingTenant } from './pending.ts';
import { Quarantine } from './quarantine.ts';
import { isDamage } from './sqlite.ts';
import { DamagedActorError, type TenantFile } from './tenant-file.ts';
import { TenantFiles } from './tenant-files.ts';
import { entriesOf, prepareWrite } from './tenant-write.ts';

export interface KeeperOptions {
  readonly dataDir: string;
  readonly limits: Limits;
  readonly log: Logger;
  readonly clock: Clock;
}

/** What a shard hears from the keeper without asking. */
export interface ShardListener {
  synced(journalSeq: number): void;
  quarantined(address: Address): void;
}

export class KeeperCore {
  readonly #limits: Limits;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #pending = new Pending();
  readonly #files: TenantFiles;
  readonly #quarantine: Quarantine;
  readonly #shards = new Map<number, ShardListener>();
  /** Tenants whose last write failed. */
  readonly #failing = new Set<string>();
  readonly #timer: FlushTimer;

  constructor({ dataDir, limits, log, clock }: KeeperOptions) {
    this.#limits = limits;
    this.#log = log;
    this.#clock = clock;
    this.#files = new TenantFiles(dataDir, limits.tenantFilesOpenMax);
    this.#quarantine = new Quarantine(dataDir, clock);
    this.#timer = new FlushTimer(limits.keeperDelayMs, clock, {
      due: () => [...this.#pending.tenants.keys()],
      flush: (tenant) => this.#flushTenant(tenant),
      done: () => this.#advance(),
    });
  }

  /** A shard's listener hears at once what is already synced. @returns ends the listening */
  attach(shard: number, listener: ShardListener): () => void {
    this.#shards.set(shard, listener);
    const synced = this.#pending.synced(shard);
    if (synced > 0) listener.synced(synced);
    return () => {
      if (this.#shards.get(shard) === listener) this.#shards.delete(shard);
    };
  }

  /** Takes over a committed row; one that came before is ignored. `damage`: actors whose entries in it failed their check. */
  committed(shard: number, row: JournalRow, damage: readonly Damage[] = []): void {
    this.#pending.add(shard, row, damage);
    for (const { address } of damage) this.#tellQuarantined(address, 'its entries in the journal failed their check');
    // A quarter of one journal: well before the journals' own bound refuses calls.
    this.#timer.start(this.#pending.chars > this.#limits.journalBytesMax / 4);
  }

  /** @throws AppError QUARANTINED, or READ_ONLY while the tenant's file cannot be read */
  load(address: Address): LoadedActor {
    return this.#read(address, (file, pending) => {
      const stored =
        pending === undefined || needsBase(pending.changes) ? file?.readActor(address.type, address.id) : undefined;
      const state = coalesce(stored, pending?.changes ?? []);
      // What was put together once need not be again at the next write.
      if (pending !== undefined && pending.changes.length > 0 && state !== undefined) {
        pending.changes = [{ seq: state.seq, version: state.version, kind: 'state', text: state.state }];
      }
      const hasOutcomes = (pending?.calls.length ?? 0) > 0 || file?.hasOutcomes(address.type, address.id) === true;
      return { seq: state?.seq ?? 0, version: state?.version ?? 0, state: state?.state, hasOutcomes };
    });
  }

  /** @throws as load */
  outcome(address: Address, key: string): { args: string; outcome: StoredOutcome } | undefined {
    return this.#read(address, (file, pending) => {
      const call = pending?.calls.findLast((text) => isCallOf(text, key));
      const found = call === undefined ? file?.outcome(address.type, address.id, key) : decodeCall(call);
      if (found === undefined || found.atMs < this.#clock.now() - this.#limits.outcomeMs) return undefined;
      return { args: found.args, outcome: found.outcome };
    });
  }

  /**
   * Writes what is pending now, for `msMax` at most; the rest goes on in the background.
   * @returns whether nothing is pending any more; what could not be written stays and is tried again
   */
  flush(msMax = Infinity): boolean {
    const endMs = this.#clock.monotonic() + msMax;
    for (const tenant of this.#pending.tenants.keys()) {
      if (this.#clock.monotonic() >= endMs) break;
      this.#flushTenant(tenant);
    }
    this.#advance();
    return this.#pending.tenants.size === 0;
  }

  get pendingActors(): number {
    let count = 0;
    for (const { actors } of this.#pending.tenants.values()) count += actors.size;
    return count;
  }

  /** The last row of a shard that was taken over, and the last up to which everything is in its file. */
  received(shard: number): number {
    return this.#pending.received(shard);
  }

  synced(shard: number): number {
    return this.#pending.synced(shard);
  }

  /** Closes a tenant off. Entries of it that are pending or still come are held. */
  quarantineTenant(tenant: string, reason: string): void {
    if (this.#quarantine.reason(tenant) !== undefined) return;
    this.#closeFile(tenant);
    try {
      this.#quarantine.closeTenant(tenant, reason);
    } catch (error) {
      this.#log.error(
        { tenant, err: error },
        'the quarantine of a tenant could not be written down yet, it holds in memory',
      );
    }
    this.#tellQuarantined({ tenant, type: '', id: '' }, reason);
  }

  /** Moves a journal aside that nobody can read. Its shard may start a new one. */
  quarantineJournal(shard: number, path: string): string {
    this.#pending.restart(shard);
    return this.#quarantine.closeJournal(path);
  }

  /** Flushes and closes all files. @returns false when something could not be written; the journals still hold it */
  close(): boolean {
    this.#timer.stop();
    const clean = this.flush();
    this.#files.closeAll();
    this.#quarantine.close();
    return clean;
  }

  #read<T>(address: Address, read: (file: TenantFile | undefined, pending: PendingActor | undefined) => T): T {
    const { tenant, type, id } = address;
    this.#refuseClosedTenant(tenant);
    try {
      const file = this.#files.open(tenant, { create: false, nowMs: this.#clock.now() });
      if (
        file?.closedReason(type, id) !== undefined ||
        this.#pending.tenants.get(tenant)?.closed.has(actorKey(type, id)) === true
      ) {
        throw quarantinedActor(address);
      }
      return read(file, this.#pending.actor(address));
    } catch (error) {
      if (error instanceof AppError) throw error;
      if (error instanceof DamagedActorError || error instanceof PatchError) {
        this.#pending.close(address, error.message);
        this.#tellQuarantined(address, error.message);
        this.#timer.start(false);
        throw quarantinedActor(address);
      }
      this.#closeFile(tenant);
      if (!isDamage(error)) throw this.#unreadable(tenant, error);
      this.quarantineTenant(tenant, messageOf(error));
      throw quarantinedTenant(tenant);
    }
  }

  #refuseClosedTenant(tenant: string): void {
    if (this.#quarantine.reason(tenant) !== undefined) throw quarantinedTenant(tenant);
  }

  #unreadable(tenant: string, error: unknown): AppError {
    this.#log.error({ tenant, err: error }, `the file of a tenant cannot be opened: ${messageOf(error)}`);
    if (error instanceof NewerFileError)
      return new AppError('QUARANTINED', `Tenant "${tenant}" was written by a newer version of the server`, {
        cause: error,
      });
    return new AppError('READ_ONLY', `The data of tenant "${tenant}" cannot be read at the moment`, {
      retryAfterMs: 1000,
      cause: error,
    });
  }

  /** @returns false when it has to be tried again */
  #flushTenant(tenant: string): boolean {
    const batch = this.#pending.tenants.get(tenant);
    if (batch === undefined) return true;
    try {
      if (this.#quarantine.reason(tenant) === undefined) this.#write(batch);
      else this.#quarantine.hold(tenant, entriesOf(batch));
    } catch (error) {
      this.#closeFile(tenant);
      if (isDamage(error) && this.#quarantine.reason(tenant) === undefined) {
        this.quarantineTenant(tenant, messageOf(error));
        return this.#flushTenant(tenant);
      }
      if (!this.#failing.has(tenant))
        this.#log.error(
          { tenant, err: error },
          'a tenant file cannot be written; its entries stay in the journal and are tried again each second',
        );
      this.#failing.add(tenant);
      return false;
    }
    this.#pending.settle(batch);
    if (this.#failing.delete(tenant)) this.#log.info({ tenant }, 'the tenant file is written again');
    return true;
  }

  #write(batch: PendingTenant): void {
    const { tenant } = batch;
    const atMs = this.#clock.now();
    const file = this.#files.open(tenant, { create: true, nowMs: atMs })!;
    const { write, held, newlyClosed } = prepareWrite(batch, file, atMs, this.#limits.outcomeMs);
    for (const { type, id, reason } of newlyClosed) this.#tellQuarantined({ tenant, type, id }, reason);
    // Held entries first: once the file closes an actor off, nothing else has them.
    this.#quarantine.hold(tenant, held);
    this.#pending.dropHeld(batch, ({ type, id }) => file.closedReason(type, id) !== undefined);
    file.write(write);
  }

  #advance(): void {
    this.#pending.advance((shard, journalSeq) => this.#shards.get(shard)?.synced(journalSeq));
  }

  #tellQuarantined(address: Address, reason: string): void {
    this.#log.error(
      { ...address, reason },
      address.type === '' ? 'a tenant was quarantined' : 'an actor was quarantined',
    );
    for (const listener of this.#shards.values()) listener.quarantined(address);
  }

  /** Also after an error, when closing may fail as well: the connection is given up either way. */
  #closeFile(tenant: string): void {
    try {
      this.#files.close(tenant);
    } catch (error) {
      this.#log.warn({ tenant, err: error }, 'a tenant file did not close cleanly');
    }
  }
}

function quarantinedActor({ type, id }: Address): AppError {
  return new AppError('QUARANTINED', `Actor "${type}/${id}" is closed: its stored data failed a check`);
}

function quarantinedTenant(tenant: string): AppError {
  return new AppError('QUARANTINED', `Tenant "${tenant}" is closed: its stored data failed a check`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
