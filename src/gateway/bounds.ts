/** The bounds that calls and subscriptions of clients are held to: per connection, per tenant, per shard. */
import { AppError, type ErrorBody } from '../protocol/errors.ts';
import type { Limits } from '../protocol/limits.ts';
import type { GatewayLink } from '../transport/contract.ts';
import type { Pending } from './pending.ts';
import type { Session } from './session.ts';

export interface BoundsParts {
  readonly link: GatewayLink;
  readonly pending: Pending;
  readonly limits: Limits;
  /** Shards that serve nobody at the moment. Written by the intake. */
  readonly away: ReadonlySet<number>;
}

export class Bounds {
  readonly #parts: BoundsParts;

  constructor(parts: BoundsParts) {
    this.#parts = parts;
  }

  /** Why a call or a read may not go to the shard now, or undefined when it may. */
  ofCall(session: Session, shard: number): ErrorBody | undefined {
    const { link, pending, limits, away } = this.#parts;
    const { connectionCallsMax, tenantCallsMax, shardCallsMax } = limits;
    if (session.info.kind === 'ws' && session.inFlight.calls >= connectionCallsMax) return connectionBusy;
    if (session.load.calls >= tenantCallsMax) return tenantBusy;
    if (pending.shardCalls[shard]! >= shardCallsMax || !link.accepts(shard)) return serverBusy;
    if (away.has(shard)) return shardAway;
    return undefined;
  }

  /** Why there may be no further subscription. */
  ofSubscription(session: Session, shard: number): ErrorBody | undefined {
    const { link, limits } = this.#parts;
    if (session.subscriptions.size >= limits.connectionActorsMax * 2) return tooManySubscriptions;
    return link.accepts(shard) ? undefined : serverBusy;
  }
}

// Made once: under overload these are the hot path.
const connectionBusy = overloaded('Too many calls in flight on this connection');
const tenantBusy = overloaded('Too many calls in flight');
const serverBusy = overloaded('The server is busy');
const shardAway = overloaded('This part of the server is being started again');
const tooManySubscriptions = overloaded('Too many subscriptions on this connection');

function overloaded(message: string): ErrorBody {
  return new AppError('OVERLOADED', message, { retryAfterMs: 100 }).toBody();
}
