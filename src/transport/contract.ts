/**
 * How frames travel between gateways and shards, and all that either side knows of the other.
 *
 * Promises of every implementation, held by one contract suite (`test/transport/contract.ts`):
 * frames of one gateway to one shard, and back, arrive whole, once and in order · `send` never blocks and never throws
 * while the link is open; after `close` it does nothing · `close` is idempotent.
 * Nothing is promised about frames on their way when a peer dies: whoever waits for an answer keeps its own account.
 */

/** A gateway's end. Shards are numbered from 0. */
export interface GatewayLink {
  readonly shards: number;
  send(shard: number, frame: string): void;
  onFrame(receive: (frame: string, shard: number) => void): void;
  close(): void;
}

/** A shard's end. Gateways are numbered from 0. */
export interface ShardLink {
  readonly gateways: number;
  send(gateway: number, frame: string): void;
  onFrame(receive: (frame: string, gateway: number) => void): void;
  close(): void;
}
