/**
 * The clients of the reconnect storm, in a process of their own: the shipped client, many times, each subscribed to one of
 * so many boards. Their sockets can be cut all at once, without a close frame, as when a proxy dies.
 *
 *   parent ── open {url, token, clients, boards} ──▶ all connected and in possession of their board's state
 *   parent ── cut ──▶ every socket is destroyed; a writer changes each board while they are away
 *          ◀── Cut: when each was back, whether it is still the same client, what it was sent, what it has
 */
import { WebSocket } from 'ws';
import { createClient } from '../src/client/client.ts';
import type bench from './apps/bench.ts';
import { Histogram } from './histogram.ts';

export interface OpenJob {
  readonly kind: 'open';
  readonly url: string;
  readonly token: string;
  readonly clients: number;
  readonly boards: number;
}

export interface Cut {
  /** From the cut until the client was connected again. */
  readonly backMs: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Kept their client id: no actor heard that they were away. */
  readonly resumed: number;
  /** Snapshots that were sent to them after the cut; what they missed is less. */
  readonly snapshots: number;
  /** Hold what their board holds. */
  readonly current: number;
}

const backMsMax = 60_000;

/** Every socket of this process that is open. */
const sockets = new Set<WebSocket>();
let snapshots = 0;

class CountedSocket extends WebSocket {
  constructor(url: string, protocols: string[]) {
    super(url, protocols, { perMessageDeflate: false });
    this.once('open', () => sockets.add(this));
    this.once('close', () => sockets.delete(this));
    this.on('message', (data: Buffer) => {
      if (data.toString('utf8', 0, 24) === '{"type":"state:snapshot"') snapshots += 1;
    });
  }
}

type Client = ReturnType<typeof createClient<typeof bench>>;

let clients: Client[] = [];
let writer: Client;
let boards = 0;

process.once('disconnect', () => process.exit(1));
process.on('message', (message: OpenJob | { kind: 'cut' }) => {
  const done = message.kind === 'open' ? open(message) : cut();
  done.then(
    (result) => process.send!({ result }),
    (error: unknown) =>
      process.send!({ failure: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});

async function open({ url, token, clients: count, boards: boardCount }: OpenJob): Promise<void> {
  boards = boardCount;
  const make = (): Client => createClient<typeof bench>({ url, token, WebSocket: CountedSocket });
  writer = make();
  await writer.connection.ready;
  clients = Array.from({ length: count }, make);
  await Promise.all(clients.map(({ connection }) => connection.ready));
  await Promise.all(clients.map((client, at) => stateOf(client, at)));
}

/** Settles when the state is there, and stays subscribed. */
function stateOf(client: Client, at: number): Promise<unknown> {
  return new Promise((resolve) => client.board(boardOf(at)).state.subscribe(resolve));
}

function boardOf(at: number): string {
  return `board-${at % boards}`;
}

async function cut(): Promise<Cut> {
  const before = clients.map(({ connection }) => connection.clientId);
  snapshots = 0;
  const back = new Histogram();
  const returned = clients.map(({ connection }) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = connection.subscribe((status) => {
      if (status !== 'connected') return;
      back.record(performance.now() - startMs);
      end();
      resolve();
    });
    return promise;
  });
  const startMs = performance.now();
  for (const socket of sockets) socket.terminate();
  // Goes on as soon as the writer itself is back.
  const values = await Promise.all(Array.from({ length: boards }, (_, at) => writer.board(boardOf(at)).raise()));
  await within(backMsMax, Promise.all(returned));
  const isCurrent = (client: Client, at: number): boolean =>
    client.board(boardOf(at)).state.get()?.value === values[at % boards];
  const endMs = performance.now() + backMsMax;
  while (!clients.every(isCurrent) && performance.now() < endMs) await pause(20);
  return {
    backMs: back.summary(),
    resumed: clients.filter(({ connection }, at) => connection.clientId === before[at]).length,
    snapshots,
    current: clients.filter(isCurrent).length,
  };
}

async function within(msMax: number, promise: Promise<unknown>): Promise<void> {
  await Promise.race([
    promise,
    pause(msMax).then(() => {
      throw new Error(`not all clients were back within ${msMax} ms`);
    }),
  ]);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
