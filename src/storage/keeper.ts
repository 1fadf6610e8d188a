/**
 * The keeper: brings tenant files up to date behind the journals, and answers what an actor's state is.
 *
 *   shards ── committed(row) ──▶ pending, per tenant ── after keeperDelayMs, one transaction per tenant ──▶ tenant files
 *   shards ◀── synced(journalSeq) ── when every entry up to there is fsynced in its tenant file
 *   shards ── load, outcome, numbered, history ──▶ the file's content with pending entries on top (questions.ts)
 *   main ── putSessions ──▶ tenant files, in the same rounds · closeStale ──▶ what a former process left (stale-sweep.ts)
 *
 * Invariants: an entry leaves `pending` only when a file holds it, fsynced: the tenant's, or the file of held entries ·
 * a tenant that cannot be written loses nothing and holds nobody up (failing-tenants.ts) · where nothing can be written,
 * pending stays and the journals' bound pushes back at the callers · damage closes off an actor or a tenant, never the process · nothing here knows threads.
 */
import type { Clock } from '../host/clock.ts';
import type { Logger } from '../host/log.ts';
import type { Address } from '../protocol/address.ts';
import type { Stream } from '../protocol/envelope.ts';
import type { Limits } from '../protocol/limits.ts';
import type { Archive } from './archive.ts';
import type { HistoryItem, JournalRow, LoadedActor, NumberedCalls, SessionRecord, StoredOutcome } from './contract.ts';
import { Cut } from './cut.ts';
import { FailingTenants, retryMs } from './failing-tenants.ts';
import { FlushTimer } from './flush-timer.ts';
import { HeldEntries } from './held-entries.ts';
import type { Damage } from './journal-row.ts';
import { type KeeperCounts, KeeperMeters } from './meters.ts';
import { dataPaths } from './paths.ts';
import { Pending } from './pending.ts';
import { Quarantine } from './quarantine.ts';
import { loadedActor, storedHistory, storedNumbered, storedOutcome } from './questions.ts';
import { Reading } from './reading.ts';
import { type ShardListener, ShardListeners } from './shard-listeners.ts';
import { SlotTransfer } from './slot-transfer.ts';
import { type StaleFound, StaleSweep } from './stale-sweep.ts';
import { TenantCopies } from './tenant-copies.ts';
import { TenantExchange } from './tenant-exchange.ts';
import { TenantFiles } from './tenant-files.ts';
import { TenantSessions } from './tenant-sessions.ts';
import { TenantStandstill } from './tenant-standstill.ts';
import { TenantWriter } from './tenant-writer.ts';

export interface KeeperOptions {
  readonly dataDir: string;
  readonly limits: Limits;
  readonly log: Logger;
  readonly clock: Clock;
  /** Id of this run of the process: 1 to 64 of A-Z a-z 0-9 _ -. */
  readonly boot: string;
  /** Gets every row; journals keep what it has not stored yet. */
  readonly archive?: Archive;
}

export class KeeperCore {
  readonly meters = new KeeperMeters();
  readonly #options: KeeperOptions;
  readonly #pending = new Pending();
  readonly #files: TenantFiles;
  readonly #quarantine: Quarantine;
  readonly #shards = new ShardListeners();
  readonly #spilled: HeldEntries;
  readonly #failing: FailingTenants;
  readonly #sessions: TenantSessions;
  readonly #sweep: StaleSweep;
  readonly #writer: TenantWriter;
  readonly #reading: Reading;
  readonly cut = new Cut();
  readonly copies: TenantCopies;
  readonly exchange: TenantExchange;
  readonly transfer: SlotTransfer;
  /** Characters that wait for tenants that fail; counted after each round. */
  #failingChars = 0;
  readonly #timer: FlushTimer;

  constructor(options: KeeperOptions) {
    const { dataDir, limits, log, clock, boot, archive } = options;
    this.#options = options;
    archive?.onStored(() => this.#advance());
    this.#sessions = new TenantSessions({ boot, limits, clock, log });
    this.#files = new TenantFiles({
      dataDir,
      boot,
      log,
      openMax: limits.tenantFilesOpenMax,
      onFirst: (file) => this.#sessions.endStale(file),
    });
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
    const parts = {
      dataDir,
      limits,
      log,
      clock,
      archive,
      listeners: this.#shards,
      pending: this.#pending,
      files: this.#files,
      quarantine: this.#quarantine,
      failing: this.#failing,
      sessions: this.#sessions,
      meters: this.meters,
      closeTenant: (tenant: string, reason: string) => this.quarantineTenant(tenant, reason),
    };
    this.#sweep = new StaleSweep(parts);
    this.#writer = new TenantWriter({
      ...parts,
      closeActor: (address, reason) => this.#tellQuarantined(address, reason),
    });
    this.#reading = new Reading({
      ...parts,
      isAway: (tenant) => this.transfer.isAway(tenant),
      closeActor: (address, reason) => {
        this.#tellQuarantined(address, reason);
        this.#timer.start(false);
      },
    });
    const standstill = new TenantStandstill({ ...parts, catchUp: () => this.#catchUp() });
    this.copies = new TenantCopies({ ...parts, cut: this.cut, write: (tenant) => this.#writer.write(tenant) });
    this.exchange = new TenantExchange({ ...parts, standstill });
    this.transfer = new SlotTransfer({ ...parts, standstill });
    this.#timer = new FlushTimer(limits.keeperDelayMs, retryMs, clock, {
      due: () => this.#unwritten.filter((tenant) => !this.#failing.isWaiting(tenant)),
      waits: () => this.#failing.any,
      flush: (tenant) => this.#writer.write(tenant),
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
    if (row.journalSeq > this.#pending.received(shard)) this.#options.archive?.add(shard, row);
    this.#pending.add(shard, row, damage);
    for (const { address } of damage) this.#tellQuarantined(address, 'its entries in the journal failed their check');
    // A quarter of one journal: well before the journals' own bound refuses calls.
    this.#timer.start(this.#pending.chars - this.#failingChars > this.#options.limits.journalBytesMax / 4);
  }

  /** @throws AppError QUARANTINED, or READ_ONLY while the tenant's file cannot be read */
  load(address: Address): LoadedActor {
    return this.#reading.read(address, (sources) => loadedActor(address, sources, this.#options.boot));
  }

  /** @throws as load */
  outcome(address: Address, key: string): { args: string; outcome: StoredOutcome } | undefined {
    return this.#reading.read(address, (sources) => storedOutcome(address, sources, key, this.#outcomesSinceMs));
  }

  /** @throws as load */
  numbered(address: Address, client: string): Omit<NumberedCalls, 'client'> | undefined {
    return this.#reading.read(address, (sources) => storedNumbered(address, sources, client, this.#outcomesSinceMs));
  }

  /** @throws as load */
  history(address: Address, stream: Stream, since: number): readonly HistoryItem[] | undefined {
    const found = this.#reading.read(address, (sources) =>
      storedHistory(address, sources, stream, since, this.#options.limits),
    );
    if (found.damagedChunks > 0)
      this.#options.log.warn(
        { ...address, stream, chunks: found.damagedChunks },
        'kept history fails its check; who comes back gets a snapshot instead, or hears of a gap',
      );
    return found.items;
  }

  /** Takes records of sessions over; they are written with the next round, or dropped where they cannot be. */
  putSessions(records: readonly SessionRecord[]): void {
    this.#sessions.add(records.filter(({ tenant }) => !this.transfer.isAway(tenant)));
    this.#timer.start(false);
  }

  /** As StaleSweep.run, in the background. May be asked again. */
  closeStale(shards: number, only?: number, tenants?: readonly string[]): Promise<StaleFound> {
    return this.#sweep.run(shards, only, tenants);
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
    const endMs = this.#options.clock.monotonic() + msMax;
    for (const tenant of this.#unwritten) {
      if (this.#options.clock.monotonic() >= endMs) break;
      this.#writer.write(tenant);
    }
    this.#advance();
    return this.#pending.tenants.size === 0;
  }

  get counts(): KeeperCounts {
    return {
      pendingActors: this.#pending.actorCount,
      filesOpen: this.#files.openCount,
      readOnly: this.#failing.count,
    };
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
    this.#files.giveUp(tenant);
    try {
      this.#quarantine.closeTenant(tenant, reason);
    } catch (error) {
      this.#options.log.error(
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
    this.#sweep.stop();
    const clean = this.flush();
    this.#files.closeAll();
    this.#quarantine.close();
    this.#spilled.close();
    return clean;
  }

  get #outcomesSinceMs(): number {
    return this.#options.clock.now() - this.#options.limits.outcomeMs;
  }

  get #unwritten(): string[] {
    return [...new Set([...this.#pending.tenants.keys(), ...this.#sessions.tenants])];
  }

  #advance(): void {
    this.#failingChars = this.#failing.any ? this.#failing.chars : 0;
    this.#pending.advance(
      (shard, journalSeq) => this.#shards.synced(shard, journalSeq),
      (shard) => this.#options.archive?.storedTo(shard) ?? Infinity,
    );
  }

  /** Everything that is here goes where it belongs. @returns whether no journal is needed for it any more */
  async #catchUp(): Promise<boolean> {
    await this.#options.archive?.flush();
    return this.flush() && this.#pending.isSynced;
  }

  #tellQuarantined(address: Address, reason: string): void {
    const what = address.type === '' ? 'a tenant was quarantined' : 'an actor was quarantined';
    this.#options.log.error({ ...address, reason }, what);
    this.meters.quarantined += 1;
    this.#shards.quarantined(address);
  }
}
