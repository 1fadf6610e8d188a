import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, createServer, request, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Rig, startRig, stopRigs, until, upgrade } from './rig.ts';
import { claims, ec, encode, signed } from './tokens.ts';

const closers: (() => void)[] = [];
const next = generateKeyPairSync('ec', { namedCurve: 'P-256' });

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
});

afterEach(async () => {
  await stopRigs();
  vi.useRealTimers();
  for (const close of closers.splice(0)) close();
});

function keySet(keys: Readonly<Record<string, KeyObject>>): string {
  const list = Object.entries(keys).map(([kid, key]) => ({ ...key.export({ format: 'jwk' }), kid, use: 'sig' }));
  return JSON.stringify({ keys: list });
}

/** Keys at an address, as a provider would have them. */
async function provider(answer: RequestListener): Promise<{ readonly url: string; readonly hits: () => number }> {
  let hits = 0;
  const server = createServer((incoming, outgoing) => {
    hits += 1;
    answer(incoming, outgoing);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`, hits: () => hits };
}

function by(kid: string, key: KeyObject): string {
  // Long enough for every clock that is put forward here.
  return signed('ES256', key, { kid }, claims({ exp: Math.floor(Date.now() / 1000) + 20_000 }));
}

async function status(rig: Rig, token: string): Promise<number> {
  return (await upgrade(rig, { token })).status;
}

function pass(rig: Rig, ms: number): void {
  vi.setSystemTime(Date.now() + ms);
  rig.clock.monotonicSkewMs += ms;
}

describe('keys that change while the server runs', () => {
  it('at an address: a new one is known within 30 s, one that was taken out is gone within ten minutes', async () => {
    let keys = keySet({ one: ec.publicKey });
    const { url } = await provider((_, response) => response.end(keys));
    const rig = await startRig({ auth: { secret: undefined, jwksUrl: url } });
    const [old, fresh] = [by('one', ec.privateKey), by('two', next.privateKey)];
    expect([await status(rig, old), await status(rig, fresh)]).toEqual([101, 401]);
    keys = keySet({ one: ec.publicKey, two: next.publicKey });
    pass(rig, 31_000);
    expect([await status(rig, fresh), await status(rig, old)]).toEqual([101, 101]);
    keys = keySet({ two: next.publicKey });
    pass(rig, 10 * 60_000);
    expect([await status(rig, old), await status(rig, fresh)]).toEqual([401, 101]);
  });

  it('in a file: the same, and a file that cannot be read leaves the keys that it had', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'jwks-'));
    closers.push(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'jwks.json');
    writeFileSync(path, keySet({ one: ec.publicKey }));
    const rig = await startRig({ auth: { secret: undefined, jwksFile: path } });
    const [old, fresh] = [by('one', ec.privateKey), by('two', next.privateKey)];
    expect([await status(rig, old), await status(rig, fresh)]).toEqual([101, 401]);
    writeFileSync(path, keySet({ one: ec.publicKey, two: next.publicKey }));
    pass(rig, 31_000);
    // Both name a key that has to be read first; one reading serves both.
    expect(await Promise.all([status(rig, fresh), status(rig, fresh)])).toEqual([101, 101]);
    writeFileSync(path, keySet({ two: next.publicKey }));
    pass(rig, 10 * 60_000);
    expect([await status(rig, old), await status(rig, fresh)]).toEqual([401, 101]);
    writeFileSync(path, '{');
    pass(rig, 10 * 60_000);
    expect([await status(rig, fresh), await status(rig, old)]).toEqual([101, 401]);
    expect(rig.lines.filter((line) => line.includes('cannot read the keys in AUTH_JWKS_FILE'))).toHaveLength(1);
  });
});

describe('a flood of 10,000 tokens with unknown keys', () => {
  /** Asked over few connections that stay, because the flood is one of tokens. */
  async function flood(rig: Rig, tokens: number, msEach: number): Promise<Map<number, number>> {
    const agent = new Agent({ keepAlive: true, maxSockets: 16 });
    closers.push(() => agent.destroy());
    const [, payload, signature] = by('x', ec.privateKey).split('.');
    const statuses = new Map<number, number>();
    let begun = 0;
    const ask = (): Promise<void> =>
      new Promise((resolve, reject) => {
        begun += 1;
        pass(rig, msEach);
        const given = `${encode({ alg: 'ES256', kid: `unknown-${begun}` })}.${payload}.${signature}`;
        const outgoing = request(`${rig.http}/v1/auth`, { agent, headers: { authorization: `Bearer ${given}` } });
        outgoing.on('response', (response) => {
          const code = response.statusCode ?? 0;
          statuses.set(code, (statuses.get(code) ?? 0) + 1);
          response.resume().on('end', resolve);
        });
        outgoing.on('error', reject).end();
      });
    const worker = async (): Promise<void> => {
      for (let n = 0; n < tokens / 16; n += 1) await ask();
    };
    await Promise.all(Array.from({ length: 16 }, worker));
    return statuses;
  }

  it('within two minutes costs a fetch per 30 s at most, and known keys go on', async () => {
    const { url, hits } = await provider((_, response) => response.end(keySet({ one: ec.publicKey })));
    const rig = await startRig({ auth: { secret: undefined, jwksUrl: url } });
    expect(await status(rig, by('one', ec.privateKey))).toBe(101);
    const statuses = await flood(rig, 10_000, 12);
    expect([...statuses.keys()]).toEqual([401]);
    expect(statuses.get(401)).toBeGreaterThanOrEqual(10_000);
    expect(hits()).toBeGreaterThan(1);
    expect(hits()).toBeLessThanOrEqual(1 + 4);
    expect(await status(rig, by('one', ec.privateKey))).toBe(101);
  }, 60_000);

  it('while the address fails does not ask it more often', async () => {
    let up = true;
    const { url, hits } = await provider((_, response) =>
      up ? response.end(keySet({ one: ec.publicKey })) : response.writeHead(503).end(),
    );
    const rig = await startRig({ auth: { secret: undefined, jwksUrl: url } });
    expect(await status(rig, by('one', ec.privateKey))).toBe(101);
    up = false;
    await flood(rig, 1000, 120);
    expect(hits()).toBeLessThanOrEqual(1 + 4);
    expect(await status(rig, by('one', ec.privateKey))).toBe(101);
  });
});

describe('an address that', () => {
  const ways: [what: string, answer: RequestListener, why: RegExp][] = [
    [
      'sends elsewhere is not followed',
      (incoming, response) => {
        if (incoming.url === '/keys') response.writeHead(302, { location: '/other' }).end();
        else response.end(keySet({ one: ec.publicKey }));
      },
      /the answer was 302/,
    ],
    [
      'answers with more than a mebibyte is given up',
      (_, response) => {
        response.on('error', () => {});
        response.end(`{"keys":[],"pad":"${'x'.repeat(2 * 1024 * 1024)}"}`);
      },
      /has more than 1048576 bytes/,
    ],
    ['answers with something else is not believed', (_, response) => response.end('<html>'), /JSON/],
    ['answers a byte at a time is given up after five seconds', dribble, /timeout/i],
  ];

  it.each(ways)('%s', async (_what, answer, why) => {
    const { url } = await provider(answer);
    const rig = await startRig({ auth: { secret: undefined, jwksUrl: url } });
    expect(await status(rig, by('one', ec.privateKey))).toBe(401);
    await until(() => rig.lines.some((line) => line.includes('cannot fetch the keys at AUTH_JWKS_URL')));
    expect(rig.lines.find((line) => line.includes('cannot fetch the keys'))).toMatch(why);
  });

  function dribble(_: unknown, response: Parameters<RequestListener>[1]): void {
    response.writeHead(200).write('{');
    const timer = setInterval(() => response.write(' '), 200);
    response.on('close', () => clearInterval(timer)).on('error', () => {});
  }
});
