/**
 * Takes the address, or says in one sentence why not and what to do.
 */
import { us_listen_socket_close, us_socket_local_port, type TemplatedApp, type us_listen_socket } from 'uWebSockets.js';

/** LIBUS_LISTEN_EXCLUSIVE_PORT; the package's types name it, but do not export its value. */
const exclusively = 1;
const shared = 0;

/** The order of arguments that this build takes and its types lack. */
type Listen = (host: string, port: number, option: number, done: (socket: us_listen_socket | false) => void) => void;

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
  readonly exclusivePort: boolean;
}

/** @throws ListenError */
export async function listen(app: TemplatedApp, address: ListenAddress): Promise<us_listen_socket> {
  const { host, port, exclusivePort } = address;
  if (exclusivePort) return take(app, host, port, exclusively);
  // A free port that uWebSockets chose cannot be shared; the same one, asked for by number, can.
  if (port !== 0) return take(app, host, port, shared);
  const chosen = await take(app, host, 0, exclusively);
  const free = us_socket_local_port(chosen);
  us_listen_socket_close(chosen);
  return take(app, host, free, shared);
}

function take(app: TemplatedApp, host: string, port: number, option: number): Promise<us_listen_socket> {
  return new Promise((resolve, reject) => {
    const start = app.listen.bind(app) as unknown as Listen;
    start(host, port, option, (socket) => {
      if (socket === false) reject(new ListenError(host, port));
      else resolve(socket);
    });
  });
}

export class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly hint: string;

  constructor(host: string, port: number) {
    super(`cannot listen on ${host}:${port}: the port is taken, or the address is not one of this machine`);
    this.hint = 'stop the process that holds it, or choose another with --port (PORT) or --host (HOST)';
  }
}
