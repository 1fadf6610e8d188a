import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { HttpRequest, HttpResponse } from 'uWebSockets.js';
import { describe, expect, it } from 'vitest';
import { Anchor } from '../../src/gateway/anchor.ts';
import { Exchange, type ExchangeOptions, Unsent } from '../../src/gateway/exchange.ts';
import { GatewayMeters } from '../../src/gateway/meters.ts';
import { systemClock } from '../../src/host/clock.ts';

/** A response whose client takes nothing, and the body of its request. */
class StuckResponse {
  onData: (handler: (chunk: ArrayBuffer, isLast: boolean) => void) => void;
  send: (chunk: ArrayBuffer, isLast: boolean) => void = () => {};

  constructor() {
    this.onData = (handler) => {
      this.send = handler;
    };
  }

  cork(act: () => void): void {
    act();
  }

  tryEnd(): [boolean, boolean] {
    return [false, false];
  }

  getWriteOffset(): number {
    return 0;
  }

  onAborted(): void {}
  onWritable(): void {}
  writeStatus(): void {}
  writeHeader(): void {}
  end(): void {}
}

function exchangeOf(unsent = new Unsent()): { exchange: Exchange; res: StuckResponse } {
  const res = new StuckResponse();
  const req = { getMethod: () => 'post', getUrl: () => '/', getHeader: () => '' };
  const options: ExchangeOptions = {
    closing: false,
    unsent,
    anchor: new Anchor(),
    meters: new GatewayMeters(systemClock),
    newId: () => 'id',
  };
  const exchange = new Exchange(res as unknown as HttpResponse, req as unknown as HttpRequest, options);
  return { exchange, res };
}

describe('an answer that its client has not taken', () => {
  it.each([
    ['of 20,000 letters', 'x'.repeat(20_000)],
    ['of 6,000 letters with three bytes each', '€'.repeat(6000)],
  ])('%s is waited for when the process stops', (_what, body) => {
    const unsent = new Unsent();
    exchangeOf(unsent).exchange.json(200, body);
    expect(unsent.count).toBe(1);
  });
});

describe('a body', () => {
  it.each([1, 7, 60_000])('comes whole in chunks of %i bytes', (chunkBytes) => {
    const { exchange, res } = exchangeOf();
    const sent = Buffer.from(Array.from({ length: 60_000 }, (_, n) => n % 251));
    let body = Buffer.alloc(0);
    exchange.readBody(sent.length, (whole) => {
      body = Buffer.from(whole);
    });
    for (let at = 0; at < sent.length; at += chunkBytes) {
      res.send(Uint8Array.from(sent.subarray(at, at + chunkBytes)).buffer, at + chunkBytes >= sent.length);
    }
    expect(body.equals(sent)).toBe(true);
  });

  it('that comes byte by byte takes no more memory than it is long, or twice that', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const used = (): number => {
      collect();
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      return heapUsed + arrayBuffers;
    };
    const before = used();
    const open = Array.from({ length: 10 }, () => exchangeOf());
    for (const { exchange, res } of open) {
      exchange.readBody(64 * 1024, () => {});
      for (let n = 0; n < 60_000; n += 1) res.send(Uint8Array.of(1).buffer, false);
    }
    expect((used() - before) / open.length).toBeLessThan(4 * 64 * 1024);
    expect(open).toHaveLength(10);
  });
});
