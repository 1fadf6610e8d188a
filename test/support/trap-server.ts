/**
 * A server that stands behind a proxy and writes down what reaches it: every request as it was parsed, and every connection.
 * It answers as it is told to. WebSockets are accepted and then left in silence.
 */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

export interface TrappedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export class TrapServer {
  readonly requests: TrappedRequest[] = [];
  /** By default: 200 and `{}`. */
  respond: (response: ServerResponse) => void = (response) => response.end('{}');
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true });

  private constructor(server: Server) {
    this.#server = server;
    server.on('request', (request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      request.on('end', () => {
        this.requests.push({ method: request.method!, path: request.url!, headers: request.headers, body });
        this.respond(response);
      });
    });
    server.on('upgrade', (request, socket, head) => {
      this.requests.push({ method: request.method!, path: request.url!, headers: request.headers, body: '' });
      this.#sockets.handleUpgrade(request, socket, head, () => {});
    });
  }

  static async listen(): Promise<TrapServer> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TrapServer(server);
  }

  /** Host and port. */
  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
