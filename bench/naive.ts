/**
 * The obvious design, as a baseline: sockets on the main thread, actors in one worker, one postMessage per call and per
 * reply, one fsynced transaction per call (naive-worker.ts). Same frames, same counter, same checks of the input.
 *
 *     node bench/naive.ts <database file>
 */
import { Worker } from 'node:worker_threads';
import { App, us_socket_local_port, type WebSocket } from 'uWebSockets.js';

export interface NaiveCall {
  readonly socket: number;
  readonly id: string;
  readonly actor: string;
  readonly actorId: string;
  readonly method: string;
  readonly input: unknown;
}

export interface NaiveReply {
  readonly socket: number;
  readonly id: string;
  readonly result?: unknown;
  readonly error?: string;
}

interface SocketData {
  number: number;
}

const host = '127.0.0.1';
const worker = new Worker(new URL('./naive-worker.ts', import.meta.url), { workerData: process.argv[2] });
const sockets = new Map<number, WebSocket<SocketData>>();
let nextSocket = 1;

worker.on('error', (error) => {
  throw error;
});
worker.on('message', ({ socket, ...reply }: NaiveReply) => {
  sockets.get(socket)?.send(JSON.stringify({ type: 'rpc:result', ...reply }));
});

App()
  .ws<SocketData>('/ws', {
    idleTimeout: 120,
    maxPayloadLength: 64 * 1024,
    upgrade(res, req, context) {
      const data: SocketData = { number: nextSocket++ };
      const key = req.getHeader('sec-websocket-key');
      const extensions = req.getHeader('sec-websocket-extensions');
      res.upgrade(data, key, req.getHeader('sec-websocket-protocol'), extensions, context);
    },
    open: (ws) => void sockets.set(ws.getUserData().number, ws),
    message(ws, message) {
      const { id, actor, actorId, method, input } = JSON.parse(Buffer.from(message).toString()) as NaiveCall;
      const call: NaiveCall = { socket: ws.getUserData().number, id, actor, actorId, method, input };
      worker.postMessage(call);
    },
    close: (ws) => void sockets.delete(ws.getUserData().number),
  })
  .listen(host, 0, (socket) => {
    if (socket === false) throw new Error('no port to listen on');
    const address = `http://${host}:${us_socket_local_port(socket)}`;
    process.stdout.write(`${JSON.stringify({ msg: 'ready', address })}\n`);
  });
process.once('disconnect', () => process.exit(0));
