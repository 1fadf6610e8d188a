/**
 * The real client over a socket that is none: the test reads what the client sent and says what the server answers, with
 * nothing in between, so that React's `act` sees everything that an answer causes. Time is the client's own and stands.
 */
import { act } from 'react';
import { type Client, type ClientOptions, createClient } from '../../src/client/client.ts';
import type { Socket } from '../../src/client/socket.ts';
import type { ServerMessage } from '../../src/protocol/messages.ts';
import type { app } from './app.ts';
import { ManualClock } from './manual-clock.ts';

export interface Frame {
  readonly type: string;
  readonly [field: string]: unknown;
}

export class Wire {
  readonly client: Client<typeof app>;
  /** What reached the client's `onError`. */
  readonly reports: unknown[] = [];
  readonly #frames: Frame[] = [];
  readonly #clock = new ManualClock();
  readonly #made = Promise.withResolvers<WireSocket>();
  #socket: WireSocket | undefined;

  constructor(options: Partial<ClientOptions> = {}) {
    const made = (socket: WireSocket): void => this.#made.resolve(socket);
    const frames = this.#frames;
    this.client = createClient<typeof app>({
      url: 'ws://nowhere.example',
      clock: this.#clock,
      onError: (error) => this.reports.push(error),
      WebSocket: class extends WireSocket {
        constructor() {
          super(frames);
          made(this);
        }
      },
      ...options,
    });
  }

  /** Lets the client connect. */
  async connect(): Promise<this> {
    await act(async () => {
      this.#clock.advance(0);
      this.#socket = await this.#made.promise;
      this.#socket.tell('open', {});
    });
    await this.tell({ type: 'welcome', clientId: 'client-1' });
    return this;
  }

  /** The server says this; what it caused is on screen once this settles. */
  async tell(message: ServerMessage): Promise<void> {
    await act(async () => this.#socket?.tell('message', { data: JSON.stringify(message) }));
  }

  /** The server ends the connection. */
  async end(code: number): Promise<void> {
    await act(async () => this.#socket?.tell('close', { code, reason: '' }));
  }

  /** Time of the client passes. */
  async pass(ms: number): Promise<void> {
    await act(async () => this.#clock.advance(ms));
  }

  /** The server refuses a subscription to this counter's state. */
  refuse(actorId: string, code: string, retryable = false): Promise<void> {
    const re = { type: 'state:sub', actor: 'counter', actorId };
    return this.tell({ type: 'error', re, code, message: 'no', retryable });
  }

  counts(actorId: string, count: number): Promise<void> {
    return this.tell({ type: 'state:snapshot', actor: 'counter', actorId, state: { count } });
  }

  /** What the client sent since the last time, in order. */
  take(): Frame[] {
    return this.#frames.splice(0);
  }

  /** The same, of subscriptions only, as `state:sub c1`. */
  takeSubscriptions(): string[] {
    return this.take().flatMap(({ type, actorId }) => (type.endsWith('sub') ? [`${type} ${String(actorId)}`] : []));
  }
}

class WireSocket implements Socket {
  readonly #frames: Frame[];
  readonly #listeners = new Map<string, ((event: never) => void)[]>();

  constructor(frames: Frame[]) {
    this.#frames = frames;
  }

  send(text: string): void {
    this.#frames.push(JSON.parse(text) as Frame);
  }

  close(): void {}

  addEventListener(type: string, listener: (event: never) => void): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  tell(type: string, event: object): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event as never);
  }
}
