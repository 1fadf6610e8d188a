/**
 * A line of this process to itself, which never carries anything: it is there to hold the cork.
 *
 * `res.cork` around an upgrade that had to wait for its token looks at the response once more when the upgrade is done.
 * The socket lies at the same place in memory and is a WebSocket by then; what uWebSockets reads there may be anything, and
 * about one in eight thousand connections was closed just after it had opened (mended upstream in uWebSockets 20.79, PR 1929).
 * Below the cork of another socket it does not look, and without any cork it writes a warning to stderr each time.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import {
  App,
  type HttpResponse,
  type us_listen_socket,
  us_listen_socket_close,
  us_socket_local_port,
} from 'uWebSockets.js';
import { listen } from './listen.ts';

export class Anchor {
  readonly #app = App();
  /** The line as the server sees it, from its request until it ends. */
  #res: HttpResponse | undefined;
  #line: Socket | undefined;
  #listener: us_listen_socket | undefined;

  /**
   * The line is there some milliseconds later. Whoever opens it closes it: a thread that ends while the line is being made takes
   * the process with it. @returns the port, open until then @throws ListenError
   */
  open(): number {
    // Nobody else can say this path, and the port is closed as soon as it was said.
    const path = `/${randomBytes(16).toString('hex')}`;
    this.#app.any(path, (res) => {
      this.#stopListening();
      res.onAborted(() => {
        this.#res = undefined;
      });
      this.#res = res;
    });
    this.#listener = listen(this.#app, { host: '127.0.0.1', port: 0, exclusivePort: true });
    const port = us_socket_local_port(this.#listener);
    this.#line = connect(port, '127.0.0.1').unref();
    this.#line.on('error', () => this.#stopListening());
    this.#line.write(`GET ${path} HTTP/1.1\r\nHost: anchor\r\n\r\n`);
    return port;
  }

  /** Is the line there? */
  get ready(): boolean {
    return this.#res !== undefined;
  }

  /** Runs `act` while the line holds the cork, or just so while there is none. */
  cork(act: () => void): void {
    if (this.#res === undefined) act();
    else this.#res.cork(act);
  }

  close(): void {
    this.#stopListening();
    this.#line?.destroy();
    this.#app.close();
  }

  #stopListening(): void {
    if (this.#listener !== undefined) us_listen_socket_close(this.#listener);
    this.#listener = undefined;
  }
}
