/**
 * Scripted shards that are slots of other processes: whole tenants, served by somebody who may change. What is sent while a
 * turnover is told goes straight to the newcomer; all else waits in line while `paused`.
 */
import { decodeInbound, type Inbound, inboundOp } from '../../src/protocol/envelope.ts';
import { slotOf } from '../../src/protocol/placement.ts';
import type { RemoteLink } from '../../src/transport/contract.ts';
import { FakeShards } from './fake-shards.ts';

export class FakeRemote extends FakeShards implements RemoteLink {
  unackedFrames = 0;
  /** What the last newcomer was told, without claims. */
  presented: unknown[] = [];
  /** Frames are kept in `waiting` instead of answered. */
  paused = false;
  readonly waiting: { shard: number; frame: string }[] = [];
  #capturing = false;
  #onTurnover: (shard: number) => void = () => {};
  #onLost: (shard: number) => void = () => {};

  override place(tenant: string): number {
    return slotOf(tenant, this.shards);
  }

  override send(shard: number, frame: string): void {
    if (this.#capturing) this.presented.push(...decodeInbound(frame).map(withoutInfo));
    if (this.paused && !this.#capturing) this.waiting.push({ shard, frame });
    else super.send(shard, frame);
  }

  /** The frames that waited reach whoever serves now. */
  resume(): void {
    this.paused = false;
    for (const { shard, frame } of this.waiting.splice(0)) super.send(shard, frame);
  }

  onTurnover(handler: (shard: number) => void): void {
    this.#onTurnover = handler;
  }

  onLost(handler: (shard: number) => void): void {
    this.#onLost = handler;
  }

  /** Somebody else serves the slot. */
  turnover(shard: number): void {
    this.presented = [];
    this.#capturing = true;
    this.#onTurnover(shard);
    this.#capturing = false;
  }

  lose(shard: number): void {
    this.#onLost(shard);
  }
}

function withoutInfo(envelope: Inbound): unknown {
  return envelope[0] === inboundOp.open ? envelope.slice(0, 2) : envelope;
}
