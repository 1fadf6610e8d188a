/**
 * A client for the wire protocol, written from PROTOCOL.md alone on top of `ws`: the tests' own eyes. It shares nothing
 * with `src/`, so that a mistake there cannot hide in here. It keeps every frame, parsed and as text, in order.
 */
import { WebSocket } from 'ws';

export interface Frame {
  readonly type: string;
  readonly [field: string]: unknown;
}

export interface Reply extends Frame {
  readonly id: string;
  readonly result?: unknown;
  readonly error?: string;
  readonly outcome?: string;
  readonly code?: string;
  readonly retryable?: boolean;
  readonly retryAfterMs?: number;
  readonly durable?: boolean;
}

export interface ConnectOptions {
  readonly token?: string;
  /** Turns the additions on. */
  readonly v1?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Call {
  readonly actor: string;
  readonly actorId: string;
  readonly method: string;
  readonly input?: unknown;
  readonly key?: string;
  readonly deadlineMs?: number;
  /** One of its own by default. */
  readonly id?: string;
}

/** The connection ended before the answer came: the call may have happened. */
export class LostError extends Error {
  override readonly name = 'LostError';
}

const answerMsMax = 15_000;

interface Waiting {
  readonly matches: (frame: Frame) => boolean;
  readonly resolve: (frame: Frame) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export class BaseClient {
  readonly frames: Frame[] = [];
  readonly texts: string[] = [];
  /** Settles when the socket has closed, however. */
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly socket: WebSocket;
  /** What ended the connection, when it was no close frame. */
  failure: Error | undefined = undefined;
  readonly #calls = new Map<string, Waiting>();
  readonly #waiting = new Set<Waiting>();
  readonly #answers = new Map<string, string>();
  #made = 0;
  #open = true;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data: Buffer) => this.#receive(data.toString('utf8')));
    // 'close' follows; without a listener the error would end the process.
    socket.on('error', (error) => {
      this.failure = error;
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', (code: number, reason: Buffer) => {
        this.#lose(code);
        resolve({ code, reason: reason.toString() });
      });
    });
  }

  /** Settles when the socket is open and `welcome` has come. @throws Error with the status of a refused upgrade */
  static async connect(address: string, { token, v1 = false, headers = {} }: ConnectOptions = {}): Promise<BaseClient> {
    const socket = new WebSocket(`${address.replace(/^http/, 'ws')}/ws`, v1 ? ['fermata.v1'] : [], {
      headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
      perMessageDeflate: false,
    });
    const client = new BaseClient(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    await client.until((frame) => frame.type === 'welcome');
    return client;
  }

  get clientId(): string {
    return this.frames[0]?.['clientId'] as string;
  }

  /** The answer, whatever it says. @throws LostError, Error when none comes in time */
  call({ id = `c${++this.#made}`, ...call }: Call): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (!this.#open) {
        reject(new LostError('the connection is closed'));
        return;
      }
      const timer = setTimeout(() => {
        this.#calls.delete(id);
        reject(new Error(`no answer to ${JSON.stringify(call)} in ${answerMsMax} ms`));
      }, answerMsMax);
      this.#calls.set(id, { matches: () => true, resolve: resolve as (frame: Frame) => void, reject, timer });
      this.send({ type: 'rpc', id, ...call });
    });
  }

  /** The result. @throws Error with the text of `error` */
  async rpc(actor: string, actorId: string, method: string, input?: unknown): Promise<unknown> {
    const reply = await this.call({ actor, actorId, method, ...(input === undefined ? {} : { input }) });
    if (reply.error !== undefined) throw new Error(reply.error);
    return reply.result;
  }

  /** The last answer to the call with this id, letter by letter. */
  textOf(id: string): string {
    return this.#answers.get(id) ?? '';
  }

  /** Subscribes and settles with the snapshot. */
  async subscribe(actor: string, actorId: string): Promise<unknown> {
    const from = this.frames.length;
    this.send({ type: 'state:sub', actor, actorId });
    const snapshot = await this.until((frame) => frame.type === 'state:snapshot' && frame['actorId'] === actorId, from);
    return snapshot['state'];
  }

  send(message: unknown): void {
    this.sendText(JSON.stringify(message));
  }

  sendText(text: string): void {
    this.socket.send(text);
  }

  /** The first frame that matches among those from number `from` on, now or later. @throws LostError, Error */
  until(matches: (frame: Frame) => boolean, from = 0, msMax = answerMsMax): Promise<Frame> {
    const found = this.frames.slice(from).find(matches);
    if (found !== undefined) return Promise.resolve(found);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(waiting);
        reject(new Error(`no such frame in ${msMax} ms; the last ones: ${this.texts.slice(-5).join(' ')}`));
      }, msMax);
      const waiting: Waiting = { matches, resolve, reject, timer };
      this.#waiting.add(waiting);
    });
  }

  /**
   * Everything that the server had to say to this client about this actor before now: asks it for something, and each
   * frame before the answer has come. Settles with the frames since `from`.
   */
  async settled(actor: string, actorId: string, from = 0): Promise<Frame[]> {
    const id = `settled${++this.#made}`;
    await this.call({ actor, actorId, method: 'noSuchMethod', id });
    return this.frames.slice(from).filter((frame) => frame['id'] !== id);
  }

  async close(): Promise<void> {
    this.socket.close();
    await this.closed;
  }

  /** Reads nothing more, while the socket stays open. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  #receive(text: string): void {
    const frame = JSON.parse(text) as Frame;
    this.frames.push(frame);
    this.texts.push(text);
    for (const waiting of this.#waiting) if (waiting.matches(frame)) this.#settle(this.#waiting, waiting, frame);
    if (frame.type !== 'rpc:result') return;
    const id = frame['id'] as string;
    this.#answers.set(id, text);
    const call = this.#calls.get(id);
    if (call === undefined) return;
    this.#calls.delete(id);
    clearTimeout(call.timer);
    call.resolve(frame);
  }

  #settle(all: Set<Waiting>, one: Waiting, frame: Frame): void {
    all.delete(one);
    clearTimeout(one.timer);
    one.resolve(frame);
  }

  #lose(code: number): void {
    this.#open = false;
    for (const { reject, timer } of [...this.#calls.values(), ...this.#waiting]) {
      clearTimeout(timer);
      reject(new LostError(`the connection ended with ${code}`));
    }
    this.#calls.clear();
    this.#waiting.clear();
  }
}
