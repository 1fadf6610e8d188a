/**
 * One caller as the shards see it: a number, who it is, and at which shards it has been announced.
 *
 * A client with a WebSocket has one, which may outlive its connection (`Sessions`); callers over HTTP share one per token.
 * Opened and ended through `Intake`; others read it.
 */
import type { SessionInfo, Stream } from '../protocol/envelope.ts';
import type { StreamPosition } from '../protocol/messages.ts';

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
  /** Where the client was, as long as no shard was told. */
  readonly since: StreamPosition | undefined;
}

export class Session {
  readonly number: number;
  readonly info: SessionInfo;
  readonly load: TenantLoad;
  /** Shards that know this session (`open` was sent, `end` was not), each with the life of the shard that was told. */
  readonly shards = new Map<number, number>();
  /** What its connection subscribed to, by its key, so that a shard that was started anew can be told again. */
  readonly subscriptions = new Map<string, Subscription>();
  /** Wall clock: when it began, and when its connection last came or went. */
  readonly connectedMs: number;
  seenMs: number;
  /** What brings a client back to it. A secret; '' for those that cannot come back. Owned by `Sessions`. */
  resumeToken = '';
  /** The token before it, as long as the client may not know the new one; '' after that. */
  formerToken = '';
  /** No new calls will come. */
  ending = false;
  /** Shards were told; only answers to nobody can still come. */
  ended = false;

  /** Calls in flight, of all its connections; shared with the one that it takes the place of. */
  readonly inFlight: { calls: number };

  constructor(
    number: number,
    info: SessionInfo,
    load: TenantLoad,
    times: { readonly connectedMs: number; readonly nowMs: number },
    inFlight: { calls: number },
  ) {
    this.number = number;
    this.inFlight = inFlight;
    this.info = info;
    this.load = load;
    this.connectedMs = times.connectedMs;
    this.seenMs = times.nowMs;
  }
}
