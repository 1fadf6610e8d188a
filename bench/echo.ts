/**
 * The yardstick: what uWebSockets does on one thread when nothing else is asked of it. Prints where it listens.
 *
 *   /ws         sends each message back          POST anything   answers with the body
 *   /writer     publishes each message           /subscriber     gets what is published
 */
import { App, us_socket_local_port } from 'uWebSockets.js';

const host = '127.0.0.1';
const app = App();

app.ws('/ws', {
  idleTimeout: 120,
  maxPayloadLength: 64 * 1024,
  message: (ws, message) => void ws.send(message),
});
app.ws('/writer', {
  idleTimeout: 120,
  message(ws, message) {
    app.publish('all', message);
    ws.send(message);
  },
});
app.ws('/subscriber', { idleTimeout: 120, open: (ws) => void ws.subscribe('all') });
app.post('/*', (res) => {
  let body = Buffer.alloc(0);
  res.onAborted(() => undefined);
  res.onData((chunk, isLast) => {
    if (!isLast) body = Buffer.concat([body, Buffer.from(chunk)]);
    else res.cork(() => res.end(body.length === 0 ? chunk : Buffer.concat([body, Buffer.from(chunk)])));
  });
});
app.listen(host, 0, (socket) => {
  if (socket === false) throw new Error('no port to listen on');
  const address = `http://${host}:${us_socket_local_port(socket)}`;
  process.stdout.write(`${JSON.stringify({ msg: 'ready', address })}\n`);
});
process.once('disconnect', () => process.exit(0));
