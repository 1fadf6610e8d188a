/**
 * A server that speaks the wire protocol by script: the test says each frame, and waits for those of the client.
 * Real sockets on loopback; closed with `await using`.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

export interface Frame {
  readonly type: string;
  readonly [field: string]: unknown;
}

export class ScriptedServer {
  readonly #server: WebSocketServer;
  readonly #peers = new Queue<Peer>();
  /** How many connections were opened so far. */
  opened = 0;

  static async start(): Promise<ScriptedServer> {
    const server = new WebSocketServer({
      host: '127.0.0.1',
      port: 0,
      handleProtocols: (offered) => (offered.has('fermata.v1') ? 'fermata.v1' : false),
    });
    await once(server, 'listening');
    return new ScriptedServer(server);
  }

  private constructor(server: WebSocketServer) {
    this.#server = server;
    server.on('connection', (socket, request) => {
      this.opened += 1;
      this.#peers.push(new Peer(socket, request.headers['sec-websocket-protocol'] ?? '', request.url ?? ''));
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** The next client's connection, without a welcome. */
  accept(): Promise<Peer> {
    return this.#peers.take();
  }

  /** The next client's connection, welcomed. */
  async welcome(additions: object = {}): Promise<Peer> {
    const peer = await this.accept();
    peer.send({ type: 'welcome', clientId: `client-${this.opened}`, ...additions });
    return peer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

export class Peer {
  readonly #socket: WebSocket;
  readonly #frames = new Queue<Frame>();
  /** What the client offered, as it stood in the header. */
  readonly offered: string;
  readonly path: string;

  constructor(socket: WebSocket, offered: string, path: string) {
    this.#socket = socket;
    this.offered = offered;
    this.path = path;
    socket.on('message', (data: Buffer) => this.#frames.push(JSON.parse(data.toString()) as Frame));
  }

  /** The client's next frame, in order. */
  frame(): Promise<Frame> {
    return this.#frames.take();
  }

  async frames(count: number): Promise<Frame[]> {
    const frames: Frame[] = [];
    while (frames.length < count) frames.push(await this.frame());
    return frames;
  }

  send(...frames: object[]): void {
    for (const frame of frames) this.sendText(JSON.stringify(frame));
  }

  sendText(text: string): void {
    this.#socket.send(text);
  }

  /** Answers a call. */
  answer(call: Frame, result?: unknown): void {
    this.send({ type: 'rpc:result', id: call['id'], result, outcome: 'ok', durable: true });
  }

  close(code: number, reason = ''): void {
    this.#socket.close(code, reason);
  }

  /** Settles when the connection has ended, with its close code. */
  async closed(): Promise<number> {
    if (this.#socket.readyState === this.#socket.CLOSED) return 1006;
    const [code] = (await once(this.#socket, 'close')) as [number];
    return code;
  }
}

class Queue<T> {
  readonly #items: T[] = [];
  readonly #takers: ((item: T) => void)[] = [];

  push(item: T): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.#items.push(item);
    else taker(item);
  }

  take(): Promise<T> {
    const item = this.#items.shift();
    return item === undefined ? new Promise((resolve) => this.#takers.push(resolve)) : Promise.resolve(item);
  }
}
