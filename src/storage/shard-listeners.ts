/** Who listens to the keeper, by shard. */
import type { Address } from '../protocol/address.ts';

/** What the keeper says without being asked. */
export interface ShardListener {
  synced(journalSeq: number): void;
  quarantined(address: Address): void;
  /** The tenant's file cannot be written, or can again. */
  readOnly(tenant: string, readOnly: boolean): void;
  /** A former process left visitors on the actor's list. */
  stale(address: Address): void;
}

export class ShardListeners {
  readonly #listeners = new Map<number, Partial<ShardListener>>();

  /** Whoever does not care about a thing leaves it out. @returns ends the listening */
  add(shard: number, listener: Partial<ShardListener>): () => void {
    this.#listeners.set(shard, listener);
    return () => {
      if (this.#listeners.get(shard) === listener) this.#listeners.delete(shard);
    };
  }

  synced(shard: number, journalSeq: number): void {
    this.#listeners.get(shard)?.synced?.(journalSeq);
  }

  quarantined(address: Address): void {
    for (const listener of this.#listeners.values()) listener.quarantined?.(address);
  }

  readOnly(tenant: string, readOnly: boolean): void {
    for (const listener of this.#listeners.values()) listener.readOnly?.(tenant, readOnly);
  }

  /** @returns false when nobody listens for that shard */
  stale(shard: number, address: Address): boolean {
    const listener = this.#listeners.get(shard);
    listener?.stale?.(address);
    return listener !== undefined;
  }
}
