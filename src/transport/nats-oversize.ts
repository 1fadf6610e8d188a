/**
 * Envelopes that fit into no message of NATS. A call or a read among them is refused by the link itself: it never left, so that
 * nothing of it can have happened, and nothing else has to end for it.
 */
import { inboundOp, OutboundFrame } from '../protocol/envelope.ts';
import { AppError } from '../protocol/errors.ts';

/** Records that end them; undefined when one of them is no call, so that nobody waits who could be told. */
export function refuseOversize(envelopes: readonly unknown[]): string | undefined {
  const records = new OutboundFrame();
  for (const envelope of envelopes) {
    const [op, , call] = Array.isArray(envelope) ? (envelope as readonly unknown[]) : [];
    if ((op !== inboundOp.call && op !== inboundOp.read) || typeof call !== 'number') return undefined;
    records.add('E', call, 0, 0, refusal);
  }
  return records.take();
}

const refusal = JSON.stringify(
  new AppError('TOO_LARGE', 'The call is longer than the servers can pass on (max_payload of NATS)').toBody(),
);
