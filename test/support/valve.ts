/**
 * A TCP relay on 127.0.0.1 that can be shut, as a network between two machines can: nothing passes any more and nobody is
 * told. Open again, connections of before are reset, as a network would do that has forgotten them.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export class Valve {
  readonly #port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #shut = false;

  private constructor(port: number) {
    this.#port = port;
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  /** Before a server on 127.0.0.1, which may come and go. */
  static async open(port: number): Promise<Valve> {
    const valve = new Valve(port);
    valve.#server.listen(0, '127.0.0.1');
    await once(valve.#server, 'listening');
    return valve;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  shut(): void {
    this.#shut = true;
    for (const socket of this.#sockets) socket.unpipe().pause();
  }

  reopen(): void {
    this.#shut = false;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    this.reopen();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(client: Socket): void {
    this.#keep(client);
    // It waits for a greeting that does not come.
    if (this.#shut) {
      client.pause();
      return;
    }
    const server = connect({ port: this.#port, host: '127.0.0.1', noDelay: true });
    this.#keep(server);
    client.pipe(server).pipe(client);
    client.on('close', () => this.#ended(server));
    server.on('close', () => this.#ended(client));
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    // 'close' follows.
    socket.on('error', () => undefined);
  }

  /** While it is shut, the other side is told nothing. */
  #ended(peer: Socket): void {
    if (!this.#shut) peer.destroy();
  }
}
