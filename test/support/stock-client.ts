/**
 * A client of the base set that behaves on the wire as Zocket's own does, written anew from PROTOCOL.md and from how that
 * one is seen to behave. It shares nothing with `src/`. What it does: subscribes in `open`, before `welcome` was read;
 * numbers its calls `rpc_<n>_<time>`; lets calls wait for a connection, and rejects those under way when it is lost, with
 * the close reason; comes back after any close but its own, with a growing delay or a fixed one; subscribes anew, and
 * waits for nothing; takes a result with an empty error for a success; ignores types and ids that it does not know.
 *
 * Beyond that it is strict: `violations` has everything that a base client was never promised (see StockWatch).
 */
import { WebSocket } from 'ws';
import { StockHandle, type StockWire } from './stock-handle.ts';
import { type Frame, StockWatch } from './stock-watch.ts';

export interface StockOptions {
  /** All of it, as stock clients take it: `ws://127.0.0.1:8080/ws?token=…`. */
  readonly url: string;
  /** 0: none. Waiting for a connection counts. Default 10,000. */
  readonly rpcTimeoutMs?: number;
  readonly reconnectDelayMs?: number;
}

interface Call {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout | undefined;
}

interface Waiting {
  readonly proceed: () => void;
  readonly reject: (error: Error) => void;
}

/** Of the process, so that several clients in it never share an id. */
let calls = 0;

export class StockClient {
  readonly violations: string[] = [];
  /** What came, over all connections, in order. */
  readonly frames: Frame[] = [];
  /** What was sent, likewise. */
  readonly sent: string[] = [];
  readonly closes: { readonly code: number; readonly reason: string }[] = [];
  /** Of the connection; null until `welcome` has come. */
  clientId: string | null = null;
  connections = 0;
  readonly #options: StockOptions;
  readonly #handles = new Map<string, StockHandle>();
  readonly #calls = new Map<string, Call>();
  readonly #wire: StockWire;
  #socket: WebSocket | undefined;
  #watch = new StockWatch((violation) => this.violations.push(violation));
  #open = false;
  #ended = false;
  #attempt = 0;
  #retry: NodeJS.Timeout | undefined;
  #waiting: Waiting[] = [];

  constructor(options: StockOptions) {
    this.#options = options;
    this.#wire = {
      send: (frame) => this.#send(JSON.stringify(frame)),
      call: (actor, actorId, method, input) => this.#call(actor, actorId, method, input),
      release: (handle) => this.#release(handle),
      report: (violation) => this.violations.push(violation),
    };
    this.#connect();
  }

  get connected(): boolean {
    return this.#open;
  }

  /** Calls that were sent over the present connection and have no result yet. */
  get unanswered(): string[] {
    return this.#watch.unanswered;
  }

  /** The one handle of this actor, held once more. */
  actor(actor: string, actorId: string): StockHandle {
    const name = `${actor}:${actorId}`;
    const handle = this.#handles.get(name) ?? new StockHandle(actor, actorId, this.#wire);
    this.#handles.set(name, handle);
    handle.holders += 1;
    return handle;
  }

  /** What no stock client would say. */
  sendRaw(frame: unknown): void {
    this.#send(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  close(): void {
    this.#ended = true;
    clearTimeout(this.#retry);
    for (const handle of this.#handles.values()) handle.end();
    this.#handles.clear();
    this.#lose('WebSocket client closed');
    for (const { reject } of this.#waiting.splice(0)) reject(new Error('WebSocket client closed'));
    this.#open = false;
    this.#socket?.close();
  }

  #connect(): void {
    const socket = new WebSocket(this.#options.url);
    this.#socket = socket;
    this.#watch = new StockWatch((violation) => this.violations.push(violation));
    socket.addEventListener('open', () => {
      this.#open = true;
      this.#attempt = 0;
      this.connections += 1;
      const waiting = this.#waiting.splice(0);
      for (const handle of this.#handles.values()) handle.resubscribe();
      for (const { proceed } of waiting) proceed();
    });
    socket.addEventListener('message', ({ data }) => this.#receive(data));
    socket.addEventListener('error', () => {
      this.#open = false;
    });
    socket.addEventListener('close', ({ code, reason }) => {
      this.closes.push({ code, reason });
      this.#open = false;
      this.clientId = null;
      this.#lose(reason === '' ? 'WebSocket closed' : reason);
      if (!this.#ended) this.#retry = setTimeout(() => this.#connect(), this.#delayMs());
    });
  }

  #delayMs(): number {
    const grown = Math.min(250 * 2 ** this.#attempt++, 2000) + Math.floor(Math.random() * 100);
    return this.#options.reconnectDelayMs ?? grown;
  }

  #lose(reason: string): void {
    for (const { reject, timer } of this.#calls.values()) {
      clearTimeout(timer);
      reject(new Error(reason));
    }
    this.#calls.clear();
  }

  #send(text: string): void {
    if (!this.#open || this.#socket === undefined) return;
    this.sent.push(text);
    this.#watch.sent(text);
    this.#socket.send(text);
  }

  #receive(data: unknown): void {
    if (this.#ended) return;
    const frame = this.#watch.received(data);
    if (frame === undefined) return;
    this.frames.push(frame);
    switch (frame['type']) {
      case 'welcome':
        this.clientId = frame['clientId'] as string;
        return;
      case 'rpc:result':
        return this.#settle(frame);
      case 'event':
      case 'state:snapshot':
      case 'state:patch':
        this.#handles.get(`${String(frame['actor'])}:${String(frame['actorId'])}`)?.receive(frame);
    }
  }

  #settle({ id, result, error }: Frame): void {
    const call = this.#calls.get(id as string);
    if (call === undefined) return;
    this.#calls.delete(id as string);
    clearTimeout(call.timer);
    if (error) call.reject(new Error(error as string));
    else call.resolve(result);
  }

  async #call(actor: string, actorId: string, method: string, input: unknown): Promise<unknown> {
    const id = `rpc_${++calls}_${Date.now().toString(36)}`;
    const startedMs = performance.now();
    const { rpcTimeoutMs = 10_000 } = this.#options;
    // Even when it is open already: subscriptions of the same tick go first.
    await this.#opened(rpcTimeoutMs);
    return await new Promise((resolve, reject) => {
      const late = (): void => {
        this.#calls.delete(id);
        reject(new Error(`RPC "${method}" timed out after ${rpcTimeoutMs}ms`));
      };
      const timer = rpcTimeoutMs > 0 ? setTimeout(late, rpcTimeoutMs - (performance.now() - startedMs)) : undefined;
      this.#calls.set(id, { resolve, reject, timer });
      this.#send(JSON.stringify({ type: 'rpc', id, actor, actorId, method, input }));
    });
  }

  #opened(msMax: number): Promise<void> {
    if (this.#ended) return Promise.reject(new Error('WebSocket client is closed'));
    if (this.#open) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const late = (): void => {
        this.#waiting = this.#waiting.filter((one) => one !== waiting);
        reject(new Error(`WebSocket was not ready within ${msMax}ms`));
      };
      const timer = msMax > 0 ? setTimeout(late, msMax) : undefined;
      const waiting: Waiting = {
        proceed: () => {
          clearTimeout(timer);
          resolve();
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      this.#waiting.push(waiting);
    });
  }

  /** Not at once: a component that is mounted again in the same tick keeps what it had. */
  #release(handle: StockHandle): void {
    handle.holders -= 1;
    if (handle.holders > 0) return;
    setTimeout(() => {
      const name = `${handle.actor}:${handle.actorId}`;
      if (handle.holders > 0 || this.#handles.get(name) !== handle) return;
      handle.end();
      this.#handles.delete(name);
    }, 0);
  }
}
