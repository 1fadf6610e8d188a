/**
 * What JetStream says of a message that it delivers, in the subject for its acknowledgement:
 * `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>`; newer servers put domain and
 * account before the stream.
 */
export interface Delivery {
  /** Where its acknowledgement goes. */
  readonly reply: string;
  readonly consumer: string;
  /** Sequence in the stream. */
  readonly streamSeq: number;
  readonly deliveries: number;
}

/** Undefined when it is none. */
export function readDelivery(reply: string): Delivery | undefined {
  const words = reply.split('.');
  if (words[0] !== '$JS' || words[1] !== 'ACK') return undefined;
  const at = words.length === 9 ? 3 : 5;
  const [consumer = '', deliveries, streamSeq] = [words[at], Number(words[at + 1]), Number(words[at + 2])];
  if (!Number.isSafeInteger(deliveries) || !Number.isSafeInteger(streamSeq)) return undefined;
  return { reply, consumer, streamSeq, deliveries };
}
