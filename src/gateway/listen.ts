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
export function listen(app: TemplatedApp, address: ListenAddress): us_listen_socket {
  const { host, port, exclusivePort } = address;
  const option = exclusivePort ? exclusively : shared;
  if (port !== 0) return take(app, host, port, option);
  // A free port that uWebSockets chose can neither be shared nor taken again by a successor while old connections linger;
  // the same one, asked for by number, can.
  const chosen = take(app, host, 0, exclusively);
  const free = us_socket_local_port(chosen);
  us_listen_socket_close(chosen);
  return take(app, host, free, option);
}

/** uWebSockets answers before `listen` returns. */
function take(app: TemplatedApp, host: string, port: number, option: number): us_listen_socket {
  const start = app.listen.bind(app) as unknown as Listen;
  let taken: us_listen_socket | false = false;
  start(host, port, option, (socket) => {
    taken = socket;
  });
  if (taken === false) throw new ListenError(host, port);
  return taken;
}

export class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly hint: string;

  constructor(host: string, port: number) {
    super(`cannot listen on ${host}:${port}: the port is taken, or the address is not one of this machine`);
    this.hint = 'stop the process that holds it, or choose another with --port (PORT) or --host (HOST)';
  }
}
