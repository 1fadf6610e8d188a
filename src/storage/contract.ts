/**
 * What a shard asks of storage: a journal of its own, and the keeper behind a port.
 *
 *   shard ── Journal.commit(entries) ──▶ journal/<shard>.db      one fsync; the commit point
 *   shard ── Keeper.committed(rows) ───▶ keeper thread ──▶ tenants/<tenant>/tenant.db, coalesced, behind
 *   shard ◀── synced(journalSeq) ─────── keeper            rows up to there may be forgotten
 *   shard ◀── readOnly(tenant, yes/no) ─ keeper            that tenant's file cannot be written
 *   shard ◀── left(slot) ─────────────── keeper            another process has that slot
 *   shard ◀── stale(address) ─────────── keeper            visitors of a former process are still on its list
 *   shard ◀── fence ──────────────────── keeper            commit what is staged; the answer comes after every row of it
 *   shard ── load, outcome, numbered, history ─▶ keeper    sees every row that was handed over before
 */
import type { Address } from '../protocol/address.ts';
import type { Stream } from '../protocol/envelope.ts';
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

/** A client that an actor's `onConnect` has seen, and whose `onDisconnect` it has not. */
export interface Visitor {
  readonly clientId: string;
  readonly sessionId: string;
  readonly userId: string | null;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** One number of a stream: the patches of a turn, or an event, as JSON text that storage does not look into. */
export interface HistoryItem {
  readonly seq: number;
  readonly text: string;
}

/** Calls of one client that numbers them, ended at one actor. */
export interface NumberedCalls {
  readonly client: string;
  /** Its calls up to this number are forgotten, and never run again. Never falls. */
  readonly ack: number;
  readonly calls: readonly NumberedCall[];
}

export interface NumberedCall {
  readonly n: number;
  readonly outcome: StoredOutcome;
  readonly atMs: number;
}

/** What a turn, or a batch of them, leaves of an actor beside its state. Lists are in the order in which it happened. */
export interface Trail {
  readonly numbered: readonly NumberedCalls[];
  /** `n` is counted per actor and rises by one with each: a journal may bring old ones late. */
  readonly visits: readonly (
    | { readonly kind: 'in'; readonly n: number; readonly visitor: Visitor }
    | { readonly kind: 'out'; readonly n: number; readonly clientId: string }
  )[];
  /** Patches to keep for subscribers who come back. `own`: those of this entry's change, which is of kind `patches`. */
  readonly patches: 'own' | readonly HistoryItem[];
  readonly events: readonly HistoryItem[];
  /** Events to keep of this actor; older ones go. */
  readonly eventsMax: number;
}

/** The durable trace of one turn. It holds results, never commands: replay runs no user code. */
export interface JournalEntry {
  readonly address: Address;
  /** Number of the actor's state after this turn: rises by one with every change, stays with `none`. */
  readonly seq: number;
  /** Version of the state's shape, as the actor type declares it. */
  readonly version: number;
  readonly change: StateChange;
  readonly call: CallRecord | undefined;
  readonly trail: Trail | undefined;
}

/** One committed row, as it lies in the journal. */
export interface JournalRow {
  readonly journalSeq: number;
  /** When it was committed, milliseconds since the epoch; never falls while a process runs. Undefined in a row of a former format. */
  readonly atMs?: number;
  /** Entries in the format of `storage/entry.ts`. */
  readonly body: string;
}

export interface LoadedActor {
  /** 0 when the actor was never written. */
  readonly seq: number;
  readonly version: number;
  /** State as JSON text, undefined when there is none yet. */
  readonly state: string | undefined;
  /** True when outcomes of calls with an arbitrary key may lie in the tenant file. */
  readonly hasOutcomes: boolean;
  /** True when numbered calls of any client may lie there. */
  readonly hasNumbered: boolean;
  /**
   * Which line of history the numbers belong to: the same for as long as `seq` only ever rises, another one once a tenant
   * was restored from a backup. At most 64 of A-Z a-z 0-9 _ -.
   */
  readonly epoch: string;
  /** Highest number of an event that was kept, 0 when none ever was. */
  readonly eventSeq: number;
  /** Highest number up to which patches were kept, 0 when none were; equal to `seq` when they can be resumed from. */
  readonly patchSeq: number;
  readonly visitors: readonly Visitor[];
  /** `n` of the last visit, 0 when there never was one. */
  readonly visitSeq: number;
}

/** One client's session, for people who look at a tenant. */
export interface SessionRecord {
  readonly tenant: string;
  readonly sessionId: string;
  readonly clientId: string;
  readonly userId: string | null;
  /** `detached`: its connection is lost, its client may come back · `inactive`: ended. */
  readonly status: 'active' | 'detached' | 'inactive';
  /** Why it is inactive: `closed` by the client or the server, `expired` grace, `shutdown`, `crash`; '' otherwise. */
  readonly reason: '' | 'closed' | 'expired' | 'shutdown' | 'crash';
  /** The run of the process that it belongs to. */
  readonly boot: string;
  readonly connectedMs: number;
  /** When its connection last came or went; for `crash` that is all that is known. */
  readonly seenMs: number;
}

/** The keeper, seen from a shard. Replies come in no particular order; requests are answered from every row sent before. */
export interface Keeper {
  /** @throws AppError QUARANTINED, or UNKNOWN when the keeper is gone */
  load(address: Address): Promise<LoadedActor>;
  /** The stored end of a call with this key, if it ended within the retention. */
  outcome(address: Address, key: string): Promise<{ args: string; outcome: StoredOutcome } | undefined>;
  /** What is stored of one client's numbered calls to this actor: all above `ack`, with those that are pending. */
  numbered(address: Address, client: string): Promise<Omit<NumberedCalls, 'client'> | undefined>;
  /**
   * What is kept after `since`, in order and without a gap up to the newest; undefined when it does not reach back so far.
   * With -1: everything that is kept, which may be nothing.
   */
  history(address: Address, stream: Stream, since: number): Promise<readonly HistoryItem[] | undefined>;
  committed(row: JournalRow): void;
  /** Called with the highest journalSeq up to which every row is safe without the journal. */
  onSynced(handler: (journalSeq: number) => void): void;
  /** Called when a tenant or actor was closed off: drop what is in memory of it. `type` '' means the whole tenant. */
  onQuarantined(handler: (address: Address) => void): void;
  /** Called when another process has a slot of `slots`: drop whatever is in memory of its tenants, also what lies there alone. */
  onLeft(handler: (slot: number, slots: number) => void): void;
  /**
   * Called with true when a tenant's file cannot be written: refuse what would change something of this tenant. With false
   * when it can again. Who connects late hears of those that cannot be written by then.
   */
  onReadOnly(handler: (tenant: string, readOnly: boolean) => void): void;
  /**
   * Called when the keeper must have everything: the handler commits what is staged, and with `forget` deletes the rows that
   * are synced. It returns the last row that is deleted on disk, and its answer travels behind all rows.
   */
  onFence(handler: (forget: boolean) => number): void;
  /** Called with actors that a former process left with visitors: load them, so that their `onDisconnect` can run. */
  onStale(handler: (address: Address) => void): void;
  close(): void;
}
