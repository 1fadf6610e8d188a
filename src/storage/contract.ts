/**
 * What a shard asks of storage: a journal of its own, and the keeper behind a port.
 *
 *   shard ── Journal.commit(entries) ──▶ journal/<shard>.db      one fsync; the commit point
 *   shard ── Keeper.committed(rows) ───▶ keeper thread ──▶ tenants/<tenant>/tenant.db, coalesced, behind
 *   shard ◀── synced(journalSeq) ─────── keeper            rows up to there may be forgotten
 *   shard ◀── readOnly(tenant, yes/no) ─ keeper            that tenant's file cannot be written
 *   shard ── load, outcome ────────────▶ keeper            sees every row that was handed over before
 */
import type { Address } from '../protocol/address.ts';
import type { ErrorBody } from '../protocol/errors.ts';

/** How a call with a key ended. `ok` holds the result's JSON text, '' for undefined. */
export type StoredOutcome =
  | { readonly kind: 'ok'; readonly result: string }
  | { readonly kind: 'error'; readonly error: ErrorBody };

export interface CallRecord {
  readonly key: string;
  /** Hash of method and input; the same key with other arguments is refused. */
  readonly args: string;
  readonly outcome: StoredOutcome;
  /** Milliseconds since the epoch; decides when the record is purged. */
  readonly atMs: number;
}

/** What one turn did to the state. Both carry JSON text. */
export type StateChange =
  | { readonly kind: 'none' }
  | { readonly kind: 'state'; readonly text: string }
  | { readonly kind: 'patches'; readonly text: string };

/** The durable trace of one turn. It holds results, never commands: replay runs no user code. */
export interface JournalEntry {
  readonly address: Address;
  /** Number of the actor's state after this turn: rises by one with every change, stays with `none`. */
  readonly seq: number;
  /** Version of the state's shape, as the actor type declares it. */
  readonly version: number;
  readonly change: StateChange;
  readonly call: CallRecord | undefined;
}

/** One committed row, as it lies in the journal. */
export interface JournalRow {
  readonly journalSeq: number;
  /** Entries in the format of `storage/entry.ts`. */
  readonly body: string;
}

export interface LoadedActor {
  /** 0 when the actor was never written. */
  readonly seq: number;
  readonly version: number;
  /** State as JSON text, undefined when there is none yet. */
  readonly state: string | undefined;
  /** True when outcomes of keyed calls may lie in the tenant file. */
  readonly hasOutcomes: boolean;
}

/** The keeper, seen from a shard. Replies come in no particular order; requests are answered from every row sent before. */
export interface Keeper {
  /** @throws AppError QUARANTINED, or UNKNOWN when the keeper is gone */
  load(address: Address): Promise<LoadedActor>;
  /** The stored end of a call with this key, if it ended within the retention. */
  outcome(address: Address, key: string): Promise<{ args: string; outcome: StoredOutcome } | undefined>;
  committed(row: JournalRow): void;
  /** Called with the highest journalSeq up to which every row is safe without the journal. */
  onSynced(handler: (journalSeq: number) => void): void;
  /** Called when a tenant or actor was closed off: drop what is in memory of it. `type` '' means the whole tenant. */
  onQuarantined(handler: (address: Address) => void): void;
  /**
   * Called with true when a tenant's file cannot be written: refuse what would change something of this tenant. With false
   * when it can again. Who connects late hears of those that cannot be written by then.
   */
  onReadOnly(handler: (tenant: string, readOnly: boolean) => void): void;
  close(): void;
}
