import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { doors, startRig, stopRigs, upgrade } from './rig.ts';
import { claims, ec, ed, encode, rsa, signed, token } from './tokens.ts';

const closers: (() => void)[] = [];

afterEach(async () => {
  await stopRigs();
  for (const close of closers.splice(0)) close();
});

const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString();

function keyFile(keys: Record<string, unknown>[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'jwks-'));
  closers.push(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'jwks.json');
  writeFileSync(path, JSON.stringify({ keys }));
  return path;
}

function jwk(key: KeyObject, more: Record<string, unknown>): Record<string, unknown> {
  return { ...(key.export({ format: 'jwk' }) as Record<string, unknown>), use: 'sig', ...more };
}

describe('keys that cannot be used stop the start', () => {
  it.each([
    ['a short secret', { secret: 'x'.repeat(31) }, /31 bytes; it needs at least 32/],
    ['two sources', { jwksFile: '/tmp/x' }, /only one of/],
    ['a public-key algorithm with a secret', { algorithms: ['HS256', 'RS256'] }, /"RS256" does not go with/],
    ['none', { algorithms: ['none'] }, /"none" does not go with/],
    ['HS256 with public keys', { secret: undefined, jwksFile: '/tmp/x', algorithms: ['HS256'] }, /"HS256" does not go/],
    ['a missing file', { secret: undefined, jwksFile: '/nowhere/jwks.json' }, /cannot use the keys in/],
    ['plain http', { secret: undefined, jwksUrl: 'http://keys.example/' }, /must be an https address/],
  ])('%s', async (_what, more, message) => {
    await expect(startRig({ auth: more })).rejects.toThrow(message);
  });

  it('an RSA key of 1024 bits', async () => {
    const small = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const jwksFile = keyFile([jwk(small.publicKey, { kid: 'small', alg: 'RS256' })]);
    await expect(startRig({ auth: { secret: undefined, jwksFile } })).rejects.toThrow(/1024 bits/);
  });
});

describe('a key set in a file', () => {
  const keys = [jwk(rsa.publicKey, { kid: 'rsa' }), jwk(ec.publicKey, { kid: 'ec' }), jwk(ed.publicKey, { kid: 'ed' })];

  it('verifies RS256, PS256, ES256 and EdDSA, and never HS256', async () => {
    const rig = await startRig({ auth: { secret: undefined, jwksFile: keyFile(keys) } });
    const good = [
      signed('RS256', rsa.privateKey, { kid: 'rsa' }),
      signed('PS256', rsa.privateKey, { kid: 'rsa' }),
      signed('ES256', ec.privateKey, { kid: 'ec' }),
      signed('EdDSA', ed.privateKey, { kid: 'ed' }),
    ];
    for (const given of good) expect(await doors(rig, given)).toEqual([101, 200]);
    const bad = [
      token(claims(), { kid: 'rsa' }, pem),
      token(claims(), { kid: 'rsa' }, pem.trim()),
      token(claims(), { kid: 'rsa' }, rsa.publicKey.export({ type: 'spki', format: 'der' })),
      token(),
      signed('RS256', rsa.privateKey, { kid: 'ec' }),
      signed('ES256', ec.privateKey, { kid: 'rsa' }),
      signed('PS256', rsa.privateKey, { kid: 'rsa', alg: 'RS256' }),
      `${signed('ES256', ec.privateKey, { kid: 'ec' }).split('.').slice(0, 2).join('.')}.${encode(Buffer.alloc(64).toString('latin1'))}`,
      ...['../../x', "' OR 1=1", 'a\0b', 'k'.repeat(1000), '__proto__'].map((kid) =>
        signed('RS256', rsa.privateKey, { kid }),
      ),
      signed('RS256', rsa.privateKey, { kid: 'mine', jwk: jwk(rsa.publicKey, { kid: 'mine' }) }),
    ];
    for (const given of bad) expect(await doors(rig, given)).toEqual([401, 401]);
  });

  it('keeps to the configured algorithms, and refuses a kid that two keys carry', async () => {
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const jwksFile = keyFile([...keys, jwk(other.publicKey, { kid: 'rsa' })]);
    const rig = await startRig({ auth: { secret: undefined, jwksFile, algorithms: ['RS256'] } });
    expect(await doors(rig, signed('ES256', ec.privateKey, { kid: 'ec' }))).toEqual([401, 401]);
    expect(await doors(rig, signed('RS256', rsa.privateKey, { kid: 'rsa' }))).toEqual([401, 401]);
  });
});

describe('a key set at an address', () => {
  it('is fetched once for any flood of unknown keys, and no header names another address', async () => {
    let hits = 0;
    const server: Server = createServer((_request, response) => {
      hits += 1;
      response.end(JSON.stringify({ keys: [jwk(rsa.publicKey, { kid: 'rsa' })] }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => server.close());
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
    const rig = await startRig({ auth: { secret: undefined, jwksUrl: address } });
    expect(await doors(rig, signed('RS256', rsa.privateKey, { kid: 'rsa' }))).toEqual([101, 200]);
    for (let n = 0; n < 50; n += 1) {
      const header = { kid: `k${n}`, jku: `${address}/jku`, x5u: `${address}/x5u` };
      expect((await upgrade(rig, { token: signed('RS256', rsa.privateKey, header) })).status).toBe(401);
    }
    expect(hits).toBe(1);
  });

  it('that goes down leaves its last keys in force for an hour, then every token is refused', async () => {
    const server = createServer((_request, response) =>
      response.end(JSON.stringify({ keys: [jwk(rsa.publicKey, {})] })),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const rig = await startRig({ auth: { secret: undefined, jwksUrl } });
    const status = async () => (await upgrade(rig, { token: signed('RS256', rsa.privateKey) })).status;
    expect(await status()).toBe(101);
    server.close();
    server.closeAllConnections();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 11 * 60_000 });
    closers.push(() => vi.useRealTimers());
    expect([await status(), await status()]).toEqual([101, 101]);
    expect(rig.lines.filter((line) => line.includes('cannot fetch the keys'))).toHaveLength(1);
    rig.clock.monotonicSkewMs = 59 * 60_000;
    expect(await status()).toBe(101);
    rig.clock.monotonicSkewMs = 61 * 60_000;
    expect(await status()).toBe(401);
  });

  it('that fails refuses every token and says so once', async () => {
    const server: Server = createServer((_request, response) => response.writeHead(500).end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => server.close());
    const jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const rig = await startRig({ auth: { secret: undefined, jwksUrl } });
    expect(await doors(rig, signed('RS256', rsa.privateKey, { kid: 'rsa' }))).toEqual([401, 401]);
    expect(rig.lines.filter((line) => line.includes('cannot fetch the keys'))).toHaveLength(1);
  });
});
