/**
 * What the shards have committed and the tenant files do not hold yet.
 *
 * Two views of the same entries: per tenant and actor, because that is how they are written; per shard as a queue of
 * rows, because that is how they are forgotten. A row is safe when every tenant in it was settled or spilled, and a shard
 * may forget up to the first row that is not. Intake reads headers only: payloads stay text until they are written.
 */
import type { Address } from '../protocol/address.ts';
import type { PendingChange } from './coalesce.ts';
import type { JournalRow } from './contract.ts';
import { callName, callNameOfKey, decodeCall, encodeParts, readParts } from './entry.ts';
import type { Damage } from './journal-row.ts';
import { PendingTrail } from './pending-trail.ts';

export class PendingActor {
  readonly type: string;
  readonly id: string;
  /** Oldest first while they come in order; a full state makes the ones before it needless. */
  changes: PendingChange[] = [];
  /** Call fields of entries, unparsed. */
  readonly calls: string[] = [];
  /** What its entries left beside state and calls; undefined when none did. */
  trail: PendingTrail | undefined;
  /** The calls by `callName`, as far as somebody asked: most are written before anybody does. */
  readonly #callsByName = new Map<string, string>();
  #callsNamed = 0;
  /** Number of the newest change: the last one in the list may be a late one, from a journal of a former shard count. */
  #newest = 0;

  constructor(type: string, id: string) {
    this.type = type;
    this.id = id;
  }

  add(change: PendingChange): void {
    if (change.kind === 'state' && change.seq > this.#newest) this.changes = [change];
    else this.changes.push(change);
    this.#newest = Math.max(this.#newest, change.seq);
  }

  /** The call's field, undefined when none of this key is pending. */
  call(key: string): string | undefined {
    for (; this.#callsNamed < this.calls.length; this.#callsNamed += 1) {
      const call = this.calls[this.#callsNamed]!;
      const name = callName(call);
      const known = this.#callsByName.get(name);
      // A key may be used anew once its outcome expired, and a journal of a former shard count may bring the old one late.
      if (known === undefined || decodeCall(call).atMs > decodeCall(known).atMs) this.#callsByName.set(name, call);
    }
    return this.#callsByName.get(callNameOfKey(key));
  }

  /** Back to journal entries, for what must be kept but cannot be applied. */
  toEntries(tenant: string): string[] {
    const address = { tenant, type: this.type, id: this.id };
    const seq = this.changes.at(-1)?.seq ?? 0;
    const version = this.changes.at(-1)?.version ?? 0;
    return [
      ...this.changes.map((change) =>
        encodeParts(address, change.seq, change.version, change.kind, change.text, '', ''),
      ),
      ...this.calls.map((call) => encodeParts(address, seq, version, 'none', '', call, '')),
      ...(this.trail === undefined ? [] : [encodeParts(address, seq, version, 'none', '', '', this.trail.toText())]),
    ];
  }
}

export interface PendingTenant {
  readonly tenant: string;
  readonly actors: Map<string, PendingActor>;
  /** The same by the address object that reading yields, which is usually one per actor: found without a key. */
  readonly actorsByAddress: Map<Address, PendingActor>;
  /** Actors to close off, with the reason. */
  readonly closed: Map<string, { readonly type: string; readonly id: string; readonly reason: string }>;
  /** Entries found damaged, kept for whoever looks into it. */
  readonly damaged: string[];
  /** Rows that wait for this tenant. */
  rows: PendingRow[];
  /**
   * What came since the tenant's entries were last spilled, as it came; undefined while none were. What was spilled
   * before is in this batch as well, but no row waits for it.
   */
  unspilled: string[] | undefined;
  /** Journal rows alone say why an actor of it is to be closed off: they must wait until its file says so too. */
  heldByDamage: boolean;
  chars: number;
}

interface PendingRow {
  readonly shard: number;
  readonly journalSeq: number;
  /** Tenants in it that were not settled yet. */
  tenants: number;
}

interface ShardRows {
  readonly rows: PendingRow[];
  received: number;
  synced: number;
}

/** Key of an actor within its tenant. */
export function actorKey(type: string, id: string): string {
  return `${type}\n${id}`;
}

export class Pending {
  readonly tenants = new Map<string, PendingTenant>();
  readonly #shards = new Map<number, ShardRows>();
  /** Characters of all entries: what this costs in memory, roughly. */
  chars = 0;

  /** Takes a row in; one that came before is ignored. */
  add(shard: number, { journalSeq, body }: JournalRow, damage: readonly Damage[]): void {
    const queue = this.#shard(shard);
    if (journalSeq <= queue.received) return;
    queue.received = journalSeq;
    const row: PendingRow = { shard, journalSeq, tenants: 0 };
    queue.rows.push(row);
    for (const { address, text } of damage) {
      const batch = this.close(address, 'its entries in the journal failed their check', row);
      if (text !== '') batch.damaged.push(text);
    }
    for (let at = 0; at < body.length; ) {
      const end = body.indexOf('\n', at);
      const text = end < 0 ? body.slice(at) : body.slice(at, end);
      at += text.length + 1;
      this.#addEntry(text, row);
    }
  }

  /** Notes that an actor is to be closed off with the tenant's next write. */
  close({ tenant, type, id }: Address, reason: string, row?: PendingRow): PendingTenant {
    const batch = this.#tenant(tenant);
    if (row !== undefined) {
      this.#link(batch, row);
      batch.heldByDamage = true;
    }
    if (!batch.closed.has(actorKey(type, id))) batch.closed.set(actorKey(type, id), { type, id, reason });
    return batch;
  }

  actor({ tenant, type, id }: Address): PendingActor | undefined {
    return this.tenants.get(tenant)?.actors.get(actorKey(type, id));
  }

  get actorCount(): number {
    let count = 0;
    for (const { actors } of this.tenants.values()) count += actors.size;
    return count;
  }

  /** An entry that no journal has any more: it was spilled. */
  recall(text: string): void {
    const batch = this.#addEntry(text);
    batch.unspilled = [];
  }

  /** Everything pending of this tenant is in its file. */
  settle(batch: PendingTenant): void {
    this.tenants.delete(batch.tenant);
    this.chars -= batch.chars;
    this.#release(batch);
  }

  /** Everything pending of this tenant is safe elsewhere, and stays pending. */
  spilled(batch: PendingTenant): void {
    batch.unspilled = [];
    this.#release(batch);
  }

  /** What is held need not be held again when the write that follows fails and is repeated. */
  dropHeld(batch: PendingTenant, isClosed: (actor: PendingActor) => boolean): void {
    batch.damaged.length = 0;
    for (const [key, actor] of batch.actors) if (batch.closed.has(key) || isClosed(actor)) batch.actors.delete(key);
    batch.actorsByAddress.clear();
  }

  /** Moves every shard's mark over rows that are safe, and not beyond `upTo`; tells those that moved. */
  advance(moved: (shard: number, journalSeq: number) => void, upTo: (shard: number) => number): void {
    for (const [shard, queue] of this.#shards) {
      const end = upTo(shard);
      const open = queue.rows.findIndex((row) => row.tenants > 0 || row.journalSeq > end);
      const safe = queue.rows.splice(0, open < 0 ? queue.rows.length : open).at(-1);
      if (safe === undefined) continue;
      queue.synced = safe.journalSeq;
      moved(shard, safe.journalSeq);
    }
  }

  received(shard: number): number {
    return this.#shard(shard).received;
  }

  synced(shard: number): number {
    return this.#shard(shard).synced;
  }

  /** Whether every row that was ever taken in is safe. */
  get isSynced(): boolean {
    return [...this.#shards.values()].every(({ rows }) => rows.length === 0);
  }

  /** The shard's journal starts anew, from row 1. What is pending stays pending, but no row waits for it. */
  restart(shard: number): void {
    this.#shards.delete(shard);
  }

  #addEntry(text: string, row?: PendingRow): PendingTenant {
    const { address, seq, version, kind, payload, call, trail } = readParts(text);
    const batch = this.#tenant(address.tenant);
    if (row !== undefined) this.#link(batch, row);
    let actor = batch.actorsByAddress.get(address);
    if (actor === undefined) {
      const key = actorKey(address.type, address.id);
      actor = batch.actors.get(key);
      if (actor === undefined) batch.actors.set(key, (actor = new PendingActor(address.type, address.id)));
      batch.actorsByAddress.set(address, actor);
    }
    if (kind !== 'none') actor.add({ seq, version, kind, text: payload });
    if (call !== '') actor.calls.push(call);
    if (trail !== '') (actor.trail ??= new PendingTrail()).add(trail, seq, payload);
    batch.unspilled?.push(text);
    batch.chars += text.length;
    this.chars += text.length;
    return batch;
  }

  #link(batch: PendingTenant, row: PendingRow): void {
    if (batch.rows.at(-1) === row) return;
    batch.rows.push(row);
    row.tenants += 1;
  }

  #release(batch: PendingTenant): void {
    for (const row of batch.rows) row.tenants -= 1;
    batch.rows = [];
  }

  #tenant(tenant: string): PendingTenant {
    let batch = this.tenants.get(tenant);
    if (batch === undefined) {
      batch = {
        tenant,
        actors: new Map(),
        actorsByAddress: new Map(),
        closed: new Map(),
        damaged: [],
        rows: [],
        unspilled: undefined,
        heldByDamage: false,
        chars: 0,
      };
      this.tenants.set(tenant, batch);
    }
    return batch;
  }

  #shard(shard: number): ShardRows {
    let queue = this.#shards.get(shard);
    if (queue === undefined) this.#shards.set(shard, (queue = { rows: [], received: 0, synced: 0 }));
    return queue;
  }
}
