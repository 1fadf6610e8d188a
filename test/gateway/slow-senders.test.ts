/** Who sends a byte at a time is cut off; who is merely silent, or slow within bounds, is not. */
import { connect as connectTcp, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, connect, type Rig, startRig, stopRigs, until } from './rig.ts';
import { token } from './tokens.ts';

const idleS = 8;
/** Between two bytes: far more often than any timer that a byte puts back. */
const dribbleMs = 250;
/** Bounds of uWebSockets are kept on a clock that ticks every four seconds. */
const cutMsMax = 25_000;

let rig: Rig;

/** A raw connection that sends `first` at once, and then byte after byte, as long as `next` has one. */
class Dribble {
  received = '';
  sentBytes = 0;
  readonly cut: Promise<void>;
  readonly #socket: Socket;
  #timer: NodeJS.Timeout | undefined;

  constructor(first: string | Buffer, next: (n: number) => number | Buffer | undefined) {
    this.#socket = connectTcp(rig.gateway.port, '127.0.0.1', () => {
      this.#socket.setNoDelay(true).write(first);
      this.#timer = setInterval(() => {
        const bytes = next(this.sentBytes);
        if (bytes === undefined) return clearInterval(this.#timer);
        this.sentBytes += 1;
        this.#socket.write(typeof bytes === 'number' ? Buffer.of(bytes) : bytes);
      }, dribbleMs);
    });
    this.#socket.on('data', (data) => {
      this.received += data.toString('latin1');
    });
    this.cut = new Promise((resolve) => {
      // A reset is an end as good as any.
      this.#socket.on('error', () => {});
      this.#socket.on('close', () => {
        clearInterval(this.#timer);
        resolve();
      });
    });
  }

  /** Time that the bytes took, from the first to the last. */
  get sentMs(): number {
    return this.sentBytes * dribbleMs;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#socket.destroy();
  }
}

const path = '/v1/actors/counter/c1/echo';
const bearer = `Authorization: Bearer ${token()}\r\n`;
const upgrade =
  `GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
  `Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n${bearer}\r\n`;
const post = `POST ${path} HTTP/1.1\r\nHost: x\r\n${bearer}`;
/** Header of a masked text frame of 60,000 bytes, with a mask of zeros. */
const frameHead = [0x81, 0xfe, 60_000 >> 8, 60_000 & 255, 0, 0, 0, 0];
/** A masked continuation of one byte that is not the last. */
const fragment = [0x00, 0x81, 0, 0, 0, 0, 0x61];

const requests: [what: string, first: string][] = [
  ['in a header', `GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: `],
  ['in the headers of an upgrade', upgrade.slice(0, -4)],
  ['before the first line is there', ''],
  ['in a body', `${post}Content-Length: 60000\r\n\r\n`],
  ['in a body whose length nobody said', `${post}Transfer-Encoding: chunked\r\n\r\nEA60\r\n`],
  ['in the second request of a connection', `GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.1\r\nX: `],
];

const frames: [what: string, byte: (n: number) => number][] = [
  ['in a frame', (n) => frameHead[n] ?? 0x61],
  ['in the first part of a message', (n) => (n === 0 ? 0x01 : (frameHead[n] ?? 0x61))],
  ['in parts that never become a message', (n) => (n === 0 ? 0x01 : fragment[n % fragment.length]!)],
];

const text = '{"type":"rpc","id":"slow","actor":"counter","actorId":"c1","method":"echo"}';
const whole = Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);

/** All at once, because each takes as long as the bound that it meets. */
const under = new Map<string, Dribble>();
let inTime: Dribble;
let silent: Client;
let pings = 0;

beforeAll(async () => {
  rig = await startRig({ limits: { socketIdleS: idleS } });
  for (const [what, first] of requests) under.set(what, new Dribble(first, () => 0x61));
  for (const [what, byte] of frames) under.set(what, new Dribble(upgrade, byte));
  // Seven seconds of single bytes, then all that is missing.
  inTime = new Dribble(upgrade, (n) => (n < 28 ? whole[n] : n === 28 ? whole.subarray(28) : undefined));
  silent = await connect(rig, { token: token() });
  silent.socket.on('ping', () => {
    pings += 1;
  });
});

afterAll(async () => {
  for (const dribble of [...under.values(), inTime]) dribble.stop();
  await stopRigs();
});

describe('a request that comes a byte at a time', () => {
  it.each(requests)('%s is cut off', async (what) => {
    const dribble = under.get(what)!;
    await dribble.cut;
    expect(dribble.sentMs).toBeGreaterThan(5000);
    expect(dribble.sentMs).toBeLessThan(cutMsMax);
  });
});

describe('a WebSocket message that comes a byte at a time', () => {
  it.each(frames)('%s is cut off after twice the idle time', async (what) => {
    const dribble = under.get(what)!;
    await dribble.cut;
    expect(dribble.received).toContain('101 Switching Protocols');
    expect(dribble.received).toContain('welcome');
    // Not by the idle timer, which each byte puts back.
    expect(dribble.sentMs).toBeGreaterThan((idleS + 5) * 1000);
    expect(dribble.sentMs).toBeLessThan(cutMsMax);
  });

  it('and is whole in time is heard', async () => {
    await until(() => inTime.received.includes('"id":"slow"'));
  });
});

describe('silence', () => {
  it('of a client that answers pings is no reason to end it', async () => {
    // uWebSockets asks twice in eight seconds.
    await until(() => pings >= 6, 30_000);
    expect(silent.closeCode).toBeUndefined();
    expect((await silent.rpc('echo', 'still here'))['result']).toBe('still here');
  });
});
