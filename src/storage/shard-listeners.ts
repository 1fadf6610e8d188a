/** Who listens to the keeper, by shard. */
import type { Address } from '../protocol/address.ts';
import { OperationError } from './operation-error.ts';

/** What the keeper says without being asked. */
export interface ShardListener {
  synced(journalSeq: number): void;
  quarantined(address: Address): void;
  /** Another process has the slot. */
  left(slot: number, slots: number): void;
  /** The tenant's file cannot be written, or can again. */
  readOnly(tenant: string, readOnly: boolean): void;
  /** A former process left visitors on the actor's list. */
  stale(address: Address): void;
  /** Keeper.onFence. Settles when everything that the shard had committed by then is here, or is left out by a cut. */
  fence(forget: boolean, overtakes: boolean): Promise<number>;
}

/** A shard that runs its own code for so long is taken for stuck. */
const fenceMsMax = 5000;

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

  left(slot: number, slots: number): void {
    for (const listener of this.#listeners.values()) listener.left?.(slot, slots);
  }

  readOnly(tenant: string, readOnly: boolean): void {
    for (const listener of this.#listeners.values()) listener.readOnly?.(tenant, readOnly);
  }

  /**
   * Settles when every shard has handed over what it had committed, with the last row that each deleted on disk.
   * @param overtakes also those that a cut lets wait @throws OperationError when one of `shards` is away, or does not answer
   */
  async fence(shards: number, forget: boolean, overtakes = false, msMax = fenceMsMax): Promise<readonly number[]> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(away()), msMax);
    });
    const asked = Array.from({ length: shards }, (_, shard) => {
      const listener = this.#listeners.get(shard);
      return listener?.fence === undefined ? Promise.reject(away()) : listener.fence(forget, overtakes);
    });
    try {
      return await Promise.race([Promise.all(asked), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** @returns false when nobody listens for that shard */
  stale(shard: number, address: Address): boolean {
    const listener = this.#listeners.get(shard);
    listener?.stale?.(address);
    return listener !== undefined;
  }
}

function away(): OperationError {
  return new OperationError('a shard is busy or being started again', 'Try again in a moment.');
}
