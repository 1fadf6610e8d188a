/**
 * Who may stay: every connection is looked at once per second.
 *
 * A token that expired or was revoked ends it with 4401. A client that sends, but nothing whole, is cut off: each byte puts
 * uWebSockets' idle timer back, and the bytes of a frame that is not whole are seen by nobody else, so a frame that comes a
 * byte at a time would hold its socket for ever. What counts here is whole messages, pings and pongs. A client that is merely
 * silent is asked after half of its idle time and answers; one that was silent for all of it is asked once more, and cut after
 * twice the time. Without a byte from it, uWebSockets closes it when its idle time is over.
 */
import type { Limits } from '../protocol/limits.ts';
import { closeCodes } from '../protocol/messages.ts';
import type { Revocations } from './auth-revocation.ts';
import type { Line } from './line.ts';

export interface Standing {
  readonly nowMs: number;
  readonly revocations: Revocations | undefined;
  readonly limits: Pick<Limits, 'socketIdleS'>;
}

export function reviewConnections(connections: Iterable<Line>, standing: Standing): void {
  const { nowMs, revocations } = standing;
  const { socketIdleS } = standing.limits;
  for (const connection of connections) {
    const { principal } = connection;
    if (principal.expiresMs <= nowMs) connection.end(closeCodes.unauthorized, 'token expired');
    else if (revocations?.has(principal)) connection.end(closeCodes.unauthorized, 'token revoked');
    else {
      const silentS = connection.countSilence();
      if (silentS === Math.ceil(socketIdleS / 2) || silentS === socketIdleS) connection.ping();
      else if (silentS >= socketIdleS * 2) connection.cut();
    }
  }
}
