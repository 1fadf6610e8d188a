/**
 * A TCP proxy on 127.0.0.1 that does to connections what networks do: cuts them, holds them up, slows them down, and lets
 * them die without a word.
 *
 *   client ── Relay: a lane each way ── server        each relay draws its faults from the seeded random
 *
 *   reset       both sides are reset                       end         both sides end in order
 *   cut-client  the client is cut off, the server is told nothing; cut-server the other way round
 *   mid-frame   the next bytes of one direction are cut in the middle, then both sides
 *   stall       one direction or both hold everything for a while, and then deliver it, also to one who has gone on
 *   slow        a few bytes at a time                      half-open   from now on nothing arrives, and nobody is told
 *
 * TCP repeats nothing, and neither does this. Invariants: bytes that are delivered are delivered in order · what is held is
 * bounded by bytes, after which the sender has to wait · the proxy ends by itself after `lifeMsMax`.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export type Fault = 'reset' | 'end' | 'cut-client' | 'cut-server' | 'mid-frame' | 'stall' | 'slow' | 'half-open';

export interface ChaosProxyOptions {
  /** Of the server, on 127.0.0.1. It may come and go. */
  readonly port: number;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  /** Milliseconds between the faults of one connection, on average. */
  readonly faultMs: number;
  readonly stallMsMax: number;
}

const deck: readonly Fault[] = [
  ...Array<Fault>(3).fill('reset'),
  ...Array<Fault>(2).fill('end'),
  ...Array<Fault>(2).fill('cut-client'),
  'cut-server',
  ...Array<Fault>(3).fill('mid-frame'),
  ...Array<Fault>(5).fill('stall'),
  ...Array<Fault>(2).fill('slow'),
  ...Array<Fault>(2).fill('half-open'),
];
/** One connection in so many has its first fault while it is opened. */
const earlyShare = 0.2;
const earlyMsMax = 40;
const slowMsMax = 3000;
const slowBytesPerSecondMax = 20_000;
const tickMs = 50;
const heldBytesMax = 4 * 1024 * 1024;
const relaysMax = 2000;
const lifeMsMax = 10 * 60_000;

export class ChaosProxy {
  /** Faults so far. */
  readonly counts = Object.fromEntries(deck.map((fault) => [fault, 0])) as Record<Fault, number>;
  connections = 0;
  readonly #options: ChaosProxyOptions;
  readonly #server: Server;
  readonly #relays = new Set<Relay>();
  #storming = false;
  #life: NodeJS.Timeout | undefined;

  constructor(options: ChaosProxyOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
  }

  /** Returns `ws://127.0.0.1:<port>`. */
  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#life = setTimeout(() => void this.close(), lifeMsMax).unref();
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** From now on connections have faults. */
  storm(): void {
    this.#storming = true;
    for (const relay of this.#relays) this.#plan(relay);
  }

  /** No new faults. What is held is delivered; what is dead stays dead until its ends notice. */
  calm(): void {
    this.#storming = false;
    for (const relay of this.#relays) relay.release();
  }

  async close(): Promise<void> {
    clearTimeout(this.#life);
    this.#storming = false;
    for (const relay of this.#relays) relay.cut('reset');
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(client: Socket): void {
    if (this.#relays.size >= relaysMax) {
      client.resetAndDestroy();
      return;
    }
    this.connections += 1;
    const server = connect({ port: this.#options.port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const relay = new Relay(client, server, () => this.#relays.delete(relay));
    this.#relays.add(relay);
    if (this.#storming) this.#plan(relay, this.#options.random() < earlyShare);
  }

  #plan(relay: Relay, early = false): void {
    const { random, faultMs } = this.#options;
    const waitMs = early ? random() * earlyMsMax : -Math.log(1 - random()) * faultMs;
    relay.after(waitMs, () => {
      if (!this.#storming) return;
      const overMs = this.#strike(relay);
      if (overMs !== undefined) relay.after(overMs, () => this.#plan(relay));
    });
  }

  /** Returns after how many milliseconds the fault is over, undefined when the connection does not survive it. */
  #strike(relay: Relay): number | undefined {
    const { random, stallMsMax } = this.#options;
    const fault = deck[Math.floor(random() * deck.length)]!;
    this.counts[fault] += 1;
    const lanes = random() < 0.4 ? relay.lanes : [relay.lanes[random() < 0.5 ? 0 : 1]];
    if (fault === 'stall' || fault === 'slow') {
      // Mostly short ones: they are over before anybody gives up.
      const overMs = random() ** 2 * (fault === 'stall' ? stallMsMax : slowMsMax) + 100;
      const rate = fault === 'stall' ? 0 : 200 + random() * slowBytesPerSecondMax;
      for (const lane of lanes) lane.throttle(rate, overMs);
      return overMs;
    }
    if (fault === 'mid-frame') lanes[0].cutNext(random(), () => relay.cut(random() < 0.5 ? 'reset' : 'end'));
    else relay.cut(fault);
    return undefined;
  }
}

class Relay {
  readonly lanes: readonly [Lane, Lane];
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #onOver: () => void;
  readonly #timers = new Set<NodeJS.Timeout>();
  #open = 2;

  constructor(client: Socket, server: Socket, onOver: () => void) {
    this.#client = client;
    this.#server = server;
    this.#onOver = onOver;
    this.lanes = [new Lane(client, server), new Lane(server, client)];
    for (const socket of [client, server]) socket.on('close', () => this.#closed());
  }

  after(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
  }

  release(): void {
    for (const lane of this.lanes) lane.release();
  }

  cut(fault: Fault): void {
    for (const lane of this.lanes) lane.drop();
    if (fault === 'end') {
      this.#client.destroySoon();
      this.#server.destroySoon();
    }
    // The other side of a half cut stays open, and mute.
    if (fault === 'reset' || fault === 'cut-client') this.#client.resetAndDestroy();
    if (fault === 'reset' || fault === 'cut-server') this.#server.resetAndDestroy();
  }

  #closed(): void {
    this.#open -= 1;
    if (this.#open > 0) return;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const lane of this.lanes) lane.drop();
    this.#onOver();
  }
}

/** One direction of a connection. */
class Lane {
  readonly #from: Socket;
  readonly #to: Socket;
  /** What was held up, oldest first. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** Bytes per second; undefined when nothing is held up. */
  #rate: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #over: NodeJS.Timeout | undefined;
  /** How the sender ended, while what it said before is held. */
  #end: 'end' | 'reset' | undefined;
  #dropped = false;
  #cut: { readonly share: number; readonly done: () => void } | undefined;

  constructor(from: Socket, to: Socket) {
    this.#from = from;
    this.#to = to;
    let failed = false;
    from.on('data', (bytes: Buffer) => this.#take(bytes));
    from.on('end', () => this.#finish('end'));
    from.on('error', () => (failed = true));
    from.on('close', () => this.#finish(failed ? 'reset' : 'end'));
    to.on('drain', () => {
      if (this.#heldBytes <= heldBytesMax) from.resume();
    });
  }

  /** Delivers `rate` bytes per second, 0 for none, until it is over. */
  throttle(rate: number, overMs: number): void {
    if (this.#dropped) return;
    this.#rate = rate;
    if (rate > 0) this.#timer = setInterval(() => this.#deliver((rate * tickMs) / 1000), tickMs);
    this.#over = setTimeout(() => this.release(), overMs);
  }

  /** Nothing is held up any more. */
  release(): void {
    this.#unwind();
    if (this.#dropped) return;
    this.#deliver(Number.POSITIVE_INFINITY);
    this.#from.resume();
  }

  /** Nothing arrives any more, the end neither. */
  drop(): void {
    this.#dropped = true;
    this.#unwind();
    this.#held = [];
    this.#heldBytes = 0;
    this.#from.resume();
  }

  /** The next bytes arrive in part. */
  cutNext(share: number, done: () => void): void {
    this.#cut = { share, done };
  }

  #unwind(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#over);
    this.#rate = undefined;
  }

  #take(bytes: Buffer): void {
    if (this.#dropped) return;
    if (this.#cut !== undefined) {
      const { share, done } = this.#cut;
      this.#write(bytes.subarray(0, Math.floor(share * bytes.length)));
      // Given to the kernel first, or a reset would take it back.
      setImmediate(done);
      this.#dropped = true;
    } else if (this.#rate === undefined) this.#write(bytes);
    else {
      this.#held.push(bytes);
      this.#heldBytes += bytes.length;
      if (this.#heldBytes > heldBytesMax) this.#from.pause();
    }
  }

  #deliver(bytesMax: number): void {
    for (let left = bytesMax; left > 0 && this.#held.length > 0; ) {
      const bytes = this.#held[0]!;
      const part = bytes.subarray(0, Math.ceil(left));
      if (part.length === bytes.length) this.#held.shift();
      else this.#held[0] = bytes.subarray(part.length);
      this.#heldBytes -= part.length;
      left -= part.length;
      this.#write(part);
    }
    if (this.#held.length === 0 && this.#end !== undefined) this.#tellEnd(this.#end);
  }

  #write(bytes: Buffer): void {
    if (bytes.length > 0 && this.#to.writable && !this.#to.write(bytes)) this.#from.pause();
  }

  #finish(how: 'end' | 'reset'): void {
    if (this.#dropped) {
      // It has left; that the other side is told nothing of it is what counts.
      this.#from.destroy();
      return;
    }
    if (this.#rate !== undefined) this.#end = how;
    else this.#tellEnd(how);
  }

  #tellEnd(how: 'end' | 'reset'): void {
    if (this.#to.destroyed) return;
    if (how === 'reset') this.#to.destroySoon();
    else this.#to.end();
  }
}
