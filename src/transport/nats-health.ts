/**
 * Do NATS and JetStream work? Asked by whoever reports the health of the process.
 */
import type { NatsConnection } from 'nats';

export type NatsHealth = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** Settles within `msMax`, and never throws. */
export async function natsHealth(nc: NatsConnection, msMax = 2000): Promise<NatsHealth> {
  if (nc.isClosed()) return { ok: false, reason: 'the connection to NATS is closed' };
  // The library knows nothing of the server from the moment at which it begins to look for another one.
  if (nc.info === undefined) return { ok: false, reason: 'no connection to NATS' };
  try {
    const answer = await nc.request('$JS.API.INFO', '', { timeout: msMax });
    const { error } = answer.json<{ error?: { description?: string } } | null>() ?? {};
    if (error !== undefined) return { ok: false, reason: `JetStream: ${error.description ?? 'refused to answer'}` };
    return { ok: true };
  } catch (error) {
    const noResponders = error instanceof Error && 'code' in error && error.code === '503';
    return { ok: false, reason: noResponders ? 'JetStream is not there' : 'JetStream does not answer' };
  }
}
