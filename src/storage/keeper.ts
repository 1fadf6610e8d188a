/**
 * The keeper: brings tenant files up to date behind the journals, and answers what an actor's state is.
 *
 *   shards ── committed(row) ──▶ pending, per tenant ── after keeperDelayMs, one transaction per tenant ──▶ tenant files
 *   shards ◀── synced(journalSeq) ── when every entry up to there is fsynced in its tenant file
 *   shards ── load, outcome ──▶ the file's content with pending entries on top
 *
 * Invariants: an entry leaves `pending` only when a file holds it, fsynced: the tenant's, or the file of held entries ·
 * a tenant that cannot be written loses nothing and holds nobody up (failing-tenants.ts) · where nothing can be written,
 * pending stays and the journals' bound pushes back at the callers · damage closes off an actor or a tenant, never the process · nothing here knows threads.
 */
import type { Clock } from '../host/clock.ts';
import type { Logger } from '../host/log.ts';
import type { Address } from '../protocol/address.ts';
import { AppError } from '../protocol/errors.ts';
import { PatchError } from '../protocol/json-patch.ts';
import type { Limits } from '../protocol/limits.ts';
import { coalesce } from './coalesce.ts';
import type { CallRecord, JournalRow, LoadedActor, StoredOutcome } from './contract.ts';
import { decodeCall } from './entry.ts';
import { FailingTenants, retryMs } from './failing-tenants.ts';
import { FlushTimer } from './flush-timer.ts';
import { HeldEntries } from './held-entries.ts';
import type { Damage } from './journal-row.ts';
import { dataPaths } from './paths.ts';
import { actorKey, Pending, type PendingActor, type PendingTenant } from './pending.ts';
import { Quarantine } from './quarantine.ts';
import { quarantinedActor, quarantinedTenant, unreadableTenant } from './refusals.ts';
import { type ShardListener, ShardListeners } from './shard-listeners.ts';
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

export class KeeperCore {
  readonly #limits: Limits;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #pending = new Pending();
  readonly #files: TenantFiles;
  readonly #quarantine: Quarantine;
  readonly #shards = new ShardListeners();
  readonly #spilled: HeldEntries;
  readonly #failing: FailingTenants;
  /** Characters that wait for tenants that fail; counted after each round. */
  #failingChars = 0;
  readonly #timer: FlushTimer;

  constructor({ dataDir, limits, log, clock }: KeeperOptions) {
    this.#limits = limits;
    this.#log = log;
    this.#clock = clock;
    this.#files = new TenantFiles(dataDir, limits.tenantFilesOpenMax);
    this.#quarantine = new Quarantine(dataDir, clock);
    this.#spilled = new HeldEntries(dataPaths(dataDir).spilled, clock);
    this.#failing = new FailingTenants({
      pending: this.#pending,
      spilled: this.#spilled,
      clock,
      log,
      spilledCharsMax: limits.journalBytesMax,
      onChange: (tenant, failing) => this.#shards.readOnly(tenant, failing),
    });
    this.#timer = new FlushTimer(limits.keeperDelayMs, retryMs, clock, {
      due: () => [...this.#pending.tenants.keys()].filter((tenant) => !this.#failing.isWaiting(tenant)),
      waits: () => this.#failing.any,
      flush: (tenant) => this.#flushTenant(tenant),
      done: () => this.#advance(),
    });
  }

  /** A shard's listener hears at once what is already synced, and which tenants are read-only. @returns ends the listening */
  attach(shard: number, listener: Partial<ShardListener>): () => void {
    const synced = this.#pending.synced(shard);
    if (synced > 0) listener.synced?.(synced);
    for (const tenant of this.#failing.names) listener.readOnly?.(tenant, true);
    return this.#shards.add(shard, listener);
  }

  /** Takes over a committed row; one that came before is ignored. `damage`: actors whose entries in it failed their check. */
  committed(shard: number, row: JournalRow, damage: readonly Damage[] = []): void {
    this.#pending.add(shard, row, damage);
    for (const { address } of damage) this.#tellQuarantined(address, 'its entries in the journal failed their check');
    // A quarter of one journal: well before the journals' own bound refuses calls.
    this.#timer.start(this.#pending.chars - this.#failingChars > this.#limits.journalBytesMax / 4);
  }

  /** @throws AppError QUARANTINED, or READ_ONLY while the tenant's file cannot be read */
  load(address: Address): LoadedActor {
    return this.#read(address, (file, pending) => {
      // Also under a whole state: entries that a journal of a former shard count brought late are older than the file.
      const state = coalesce(file?.readActor(address.type, address.id), pending?.changes ?? []);
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
      const isKept = ({ atMs }: { atMs: number }) => atMs >= this.#clock.now() - this.#limits.outcomeMs;
      const call = pending?.call(key);
      let found: Omit<CallRecord, 'key'> | undefined = call === undefined ? undefined : decodeCall(call);
      // One that is pending may have come late, from a journal of a former shard count, and its key been used anew since.
      if (found === undefined || !isKept(found)) found = file?.outcome(address.type, address.id, key);
      return found === undefined || !isKept(found) ? undefined : { args: found.args, outcome: found.outcome };
    });
  }

  /** Takes back what was spilled before a restart. Before the first row is handed over. @throws as HeldEntries.read */
  recallSpilled(): void {
    try {
      for (const tenant of this.#failing.recall())
        this.quarantineTenant(tenant, `its entries in ${this.#spilled.path} failed their check`);
    } finally {
      // Damaged, it will be moved aside.
      this.#spilled.close();
    }
    if (this.#pending.tenants.size > 0) this.#timer.start(false);
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

  /** The same for the file of spilled entries. */
  quarantineSpilled(): string {
    return this.#quarantine.closeJournal(this.#spilled.path);
  }

  /** Flushes and closes all files. @returns false when something could not be written; the journals still hold it */
  close(): boolean {
    this.#timer.stop();
    const clean = this.flush();
    this.#files.closeAll();
    this.#quarantine.close();
    this.#spilled.close();
    return clean;
  }

  #read<T>(address: Address, read: (file: TenantFile | undefined, pending: PendingActor | undefined) => T): T {
    const { tenant, type, id } = address;
    try {
      if (this.#quarantine.reason(tenant) !== undefined) throw quarantinedTenant(tenant);
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
      if (!isDamage(error)) {
        this.#log.error({ tenant, err: error }, `the file of a tenant cannot be opened: ${messageOf(error)}`);
        throw unreadableTenant(tenant, error);
      }
      this.quarantineTenant(tenant, messageOf(error));
      throw quarantinedTenant(tenant);
    }
  }

  #flushTenant(tenant: string): void {
    const batch = this.#pending.tenants.get(tenant);
    if (batch === undefined) return;
    try {
      if (this.#quarantine.reason(tenant) === undefined) this.#write(batch);
      else this.#quarantine.hold(tenant, entriesOf(batch));
    } catch (error) {
      this.#closeFile(tenant);
      if (isDamage(error) && this.#quarantine.reason(tenant) === undefined) {
        this.quarantineTenant(tenant, messageOf(error));
        this.#flushTenant(tenant);
      } else this.#failing.failed(batch, error);
      return;
    }
    this.#pending.settle(batch);
    this.#failing.wrote(tenant);
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
    this.#failingChars = this.#failing.any ? this.#failing.chars : 0;
    this.#pending.advance((shard, journalSeq) => this.#shards.synced(shard, journalSeq));
  }

  #tellQuarantined(address: Address, reason: string): void {
    this.#log.error(
      { ...address, reason },
      address.type === '' ? 'a tenant was quarantined' : 'an actor was quarantined',
    );
    this.#shards.quarantined(address);
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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
