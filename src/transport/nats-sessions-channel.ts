/**
 * The sessions' channel over NATS: one subject that all gateways hear, JSON text, plain publish and subscribe.
 *
 * Nothing is kept: a message that would wait for the connection is dropped, because an old question makes its addressee give a
 * session to somebody who does not wait for it any more. What comes in is bounded in size and depth before it is parsed;
 * what it says is its reader's to check.
 */
import type { Msg, NatsConnection, Subscription } from 'nats';
import { parseJson } from '../protocol/safe-json.ts';
import { subjects } from './nats-names.ts';
import { watchConnection } from './nats-status.ts';
import type { SessionsChannel } from './sessions-channel.ts';

/** Far more than a session with the claims of a token that fits into the headers of a request. */
const messageBytesMax = 64 * 1024;
/** More than the claims of such a token can nest, whatever depth its gateway allows. */
const depthMax = 2048;

export function natsSessionsChannel(nc: NatsConnection): SessionsChannel {
  let subscription: Subscription | undefined;
  const connection = watchConnection(nc, () => {});
  return {
    post(message) {
      const bytes = Buffer.from(JSON.stringify(message), 'utf8');
      if (bytes.byteLength > Math.min(messageBytesMax, nc.info?.max_payload ?? messageBytesMax)) return false;
      if (!connection.up || nc.isDraining()) return false;
      nc.publish(subjects.sessions, bytes);
      return true;
    },
    onMessage(hear) {
      subscription = nc.subscribe(subjects.sessions, {
        callback(error, message) {
          const read = error === null ? messageOf(message) : undefined;
          if (read !== undefined) hear(read);
        },
      });
    },
    close() {
      connection.stop();
      if (!nc.isClosed() && !nc.isDraining()) subscription?.unsubscribe();
      subscription = undefined;
    },
  };
}

function messageOf({ data }: Msg): unknown {
  if (data.byteLength > messageBytesMax) return undefined;
  const parsed = parseJson(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8'), depthMax);
  return parsed.kind === 'value' ? parsed.value : undefined;
}
