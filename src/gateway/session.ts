/**
 * One caller as the shards see it: a number, who it is, and at which shards it has been announced.
 *
 * A WebSocket connection has one for its life; callers over HTTP share one per token. Owned by `Intake`, which opens
 * and ends it; others read it.
 */
import type { SessionInfo } from '../protocol/envelope.ts';

/** Calls and sessions of one tenant on this gateway; gone when both are 0. */
export interface TenantLoad {
  calls: number;
  sessions: number;
}

export class Session {
  readonly number: number;
  readonly info: SessionInfo;
  readonly load: TenantLoad;
  /** Shards that know this session: `open` was sent, `end` was not. */
  readonly shards = new Set<number>();
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
