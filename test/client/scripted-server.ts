/**
 * A server that speaks the wire protocol by script: the test says each frame, and waits for those of the client.
 * Real sockets on loopback; closed with `await using`.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

export interface Frame {
  readonly type: string;
  readonly [field: string]: unknown;
}

export class ScriptedServer {
  readonly #http: Server;
  readonly #server: WebSocketServer;
  readonly #peers = new Queue<Peer>();
  /** How many connections were opened so far. */
  opened = 0;
  /** HTTP status that upgrades are refused with; 0 for none. */
  refusal = 0;
  /** Plain requests so far, and the status that they get; 0 for no answer. */
  readonly questions: { readonly url: string; readonly authorization: string | undefined }[] = [];
  answer = 404;
  /** Plain requests whose senders still wait. */
  unanswered = 0;

  static async start(): Promise<ScriptedServer> {
    const http = createServer();
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    return new ScriptedServer(http);
  }

  private constructor(http: Server) {
    this.#http = http;
    this.#server = new WebSocketServer({
      server: http,
      handleProtocols: (offered) => (offered.has('fermata.v1') ? 'fermata.v1' : false),
      verifyClient: (_: unknown, decide: (accept: boolean, status?: number) => void) =>
        decide(this.refusal === 0, this.refusal),
    });
    http.on('request', ({ url = '', headers }: IncomingMessage, response) => {
      this.questions.push({ url, authorization: headers.authorization });
      this.unanswered += 1;
      response.on('close', () => {
        this.unanswered -= 1;
      });
      if (this.answer > 0) response.writeHead(this.answer).end('{}');
    });
    this.#server.on('connection', (socket, request) => {
      this.opened += 1;
      this.#peers.push(new Peer(socket, request.headers['sec-websocket-protocol'] ?? '', request.url ?? ''));
    });
  }

  get port(): number {
    return (this.#http.address() as AddressInfo).port;
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

  /** The same, of a server that speaks the additions; its n-th connection gives `token-n`. */
  async session(additions: object = {}): Promise<Peer> {
    const peer = await this.accept();
    peer.send({ ...this.greeting(), ...additions });
    return peer;
  }

  /** The next client's connection, welcomed, asked for its old session, and welcomed to it or not. */
  async resumed(resumed: boolean, additions: object = {}): Promise<Peer> {
    const peer = await this.accept();
    peer.send(this.greeting());
    peer.hello = await peer.frame();
    const old = resumed ? { clientId: 'client-1', sessionId: 'session-1', resumed: true } : {};
    peer.send({ ...this.greeting(), resumeToken: `second-token-${this.opened}`, ...old, ...additions });
    return peer;
  }

  greeting(): object {
    const n = this.opened;
    return {
      type: 'welcome',
      clientId: `client-${n}`,
      sessionId: `session-${n}`,
      resumeToken: `token-${n}`,
      resumed: false,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate();
    this.#server.close();
    if (!this.#http.listening) return;
    this.#http.close();
    this.#http.closeAllConnections();
    await once(this.#http, 'close');
  }
}

export class Peer {
  readonly #socket: WebSocket;
  readonly #frames = new Queue<Frame>();
  /** What the client offered, as it stood in the header. */
  readonly offered: string;
  readonly path: string;
  /** The first frame, of a client that asked for its session. */
  hello: Frame | undefined;

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

  /** Refuses a call, as servers with the additions do. */
  refuse(call: Frame, code: string, more: object = {}): void {
    const said = { code, error: code, outcome: 'rejected', retryable: true, ...more };
    this.send({ type: 'rpc:result', id: call['id'], ...said });
  }

  /** Ends the connection without a word. */
  cut(): void {
    this.#socket.terminate();
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
