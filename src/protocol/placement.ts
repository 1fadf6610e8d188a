/**
 * The one file that knows where an actor lives: partition = hash(address) mod 1024, shard = partition mod S.
 *
 * The tenant is part of the hash, so that "lobby" of a thousand tenants spreads over all shards. Journals hold addresses,
 * never shard numbers, so that the count of shards may change between starts.
 */
import { partitions } from './limits.ts';

/** Shard of an actor among `shards` shards. FNV-1a over UTF-16 code units, finished with a murmur mix. */
export function shardOf(tenant: string, type: string, id: string, shards: number): number {
  if (shards === 1) return 0;
  let hash = 0x811c9dc5;
  hash = fold(hash, tenant);
  hash = fold(hash, type);
  hash = fold(hash, id);
  return (finish(hash) % partitions) % shards;
}

/** Slot of a tenant among `slots`: says which runtime owns its data, when there are several. */
export function slotOf(tenant: string, slots: number): number {
  return finish(fold(0x811c9dc5, tenant)) % slots;
}

function finish(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

function fold(start: number, text: string): number {
  let hash = start;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  // The separator keeps ("ab", "c") and ("a", "bc") apart; no name can hold it.
  return Math.imul(hash ^ 0x0a, 0x01000193);
}
