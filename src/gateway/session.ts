/**
 * One caller as the shards see it: a number, who it is, and at which shards it has been announced.
 *
 * A WebSocket connection has one for its life; callers over HTTP share one per token. Owned by `Intake`, which opens
 * and ends it; others read it.
 */
import type { SessionInfo, Stream } from '../protocol/envelope.ts';

/** Calls and sessions of one tenant on this gateway; gone when both are 0. */
export interface TenantLoad {
  calls: number;
  sessions: number;
}

export interface Subscription {
  readonly shard: number;
  readonly actor: string;
  readonly actorId: string;
  readonly stream: Stream;
}

export class Session {
  readonly number: number;
  readonly info: SessionInfo;
  readonly load: TenantLoad;
  /** Shards that know this session (`open` was sent, `end` was not), each with the life of the shard that was told. */
  readonly shards = new Map<number, number>();
  /** What it subscribed to, by its key, so that a shard that was started anew can be told again. */
  readonly subscriptions = new Map<string, Subscription>();
  /** Calls in flight. */
  calls = 0;
  /** No new calls will come. */
  ending = false;
  /** Shards were told; only answers to nobody can still come. */
  ended = false;

  constructor(number: number, info: SessionInfo, load: TenantLoad) {
    this.number = number;
    this.info = info;
    this.load = load;
  }
}
