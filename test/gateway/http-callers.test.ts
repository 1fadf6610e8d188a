import { connect as connectTcp } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { inboundOp } from '../../src/protocol/envelope.ts';
import { bearer, expectSecurityHeaders, post, raw } from './requests.ts';
import { connect, startRig, stopRigs, until } from './rig.ts';
import { claims, token } from './tokens.ts';

afterEach(stopRigs);

describe('sessions over HTTP', () => {
  it('are one per token, bounded, and end when they leave without a call in flight', async () => {
    const rig = await startRig({ limits: { httpPrincipalsMax: 2 } });
    const as = (sub: string) => ({ authorization: `Bearer ${token(claims({ sub }))}` });
    const [a, b, c] = [as('a'), as('b'), as('c')];
    await post(rig, '/v1/actors/counter/c1/echo', '', a);
    await post(rig, '/v1/actors/counter/c1/echo', '', a);
    expect(rig.shards.ops(inboundOp.open)).toHaveLength(1);
    const held = post(rig, '/v1/actors/counter/c1/hold', '', b);
    await until(() => rig.shards.held.length === 1);
    await post(rig, '/v1/actors/counter/c1/echo', '', c);
    await until(() => rig.shards.ops(inboundOp.end).length === 1);
    expect(rig.shards.ops(inboundOp.end)).toEqual([[inboundOp.end, 1]]);
    await post(rig, '/v1/actors/counter/c1/echo', '', a);
    await post(rig, '/v1/actors/counter/c1/echo', '', c);
    expect(rig.shards.ops(inboundOp.end)).toHaveLength(1);
    rig.shards.release();
    expect((await held).status).toBe(200);
    await until(() => rig.shards.ops(inboundOp.end).length === 2);
    expect(rig.gateway.counts()).toMatchObject({ calls: 0, httpPrincipals: 2 });
  });

  it('end with their token', async () => {
    const rig = await startRig();
    await post(rig, '/v1/actors/counter/c1/echo');
    rig.clock.skewMs = 700_000;
    await until(() => rig.gateway.counts().httpPrincipals === 0);
    expect((await post(rig, '/v1/actors/counter/c1/echo')).status).toBe(401);
    expect(rig.gateway.counts().tenants).toBe(0);
  });
});

describe('in development', () => {
  it('a header that holds no token is refused, also after a request without one', async () => {
    const rig = await startRig({ dev: true });
    const ask = async (headers: Record<string, string>) =>
      (await fetch(`${rig.http}/v1/actors/counter/c1/echo`, { method: 'POST', headers })).status;
    const basic = { authorization: 'Basic eDp5' };
    expect([await ask(basic), await ask({}), await ask(basic), await ask({})]).toEqual([401, 200, 401, 200]);
  });
});

describe('aborted requests', () => {
  it('a thousand of them, during verification, body and call, harm nobody', async () => {
    const rig = await startRig();
    const authorization = () => `Authorization: Bearer ${token(claims({ sub: `u${Math.random()}` }))}`;
    const open: ReturnType<typeof connectTcp>[] = [];
    for (let n = 0; n < 1000; n += 1) {
      const method = n % 2 ? 'hold' : 'echo';
      const length = n % 4 === 3 ? 100 : 2;
      const text = `POST /v1/actors/counter/c${n}/${method} HTTP/1.1\r\nHost: x\r\n${authorization()}\r\nContent-Length: ${length}\r\n\r\n{}`;
      await new Promise<void>((resolve, reject) => {
        const socket = connectTcp(rig.gateway.port, '127.0.0.1', () => {
          socket.write(text, () => {
            if (n % 3 === 0) setImmediate(() => socket.destroy());
            else socket.resetAndDestroy();
            resolve();
          });
        });
        open.push(socket);
        socket.on('error', (error: NodeJS.ErrnoException) =>
          error.code === 'ECONNREFUSED' ? reject(error) : undefined,
        );
      });
    }
    expect((await post(rig, '/v1/actors/counter/c1/echo', '1')).status).toBe(200);
    await until(() => rig.shards.held.length === rig.gateway.counts().calls);
    rig.shards.release();
    await until(() => rig.gateway.counts().calls === 0);
  });
});

describe('callers that leave while their call runs', () => {
  it('are forgotten when the answer comes, and nobody else notices', async () => {
    const rig = await startRig();
    const calls = 200;
    const request = `POST /v1/actors/counter/c1/hold HTTP/1.1\r\nHost: x\r\nAuthorization: ${bearer.authorization}\r\n`;
    const sockets = Array.from({ length: calls }, () => {
      const socket = connectTcp(rig.gateway.port, '127.0.0.1', () =>
        socket.write(`${request}Content-Length: 0\r\n\r\n`),
      );
      return socket;
    });
    await until(() => rig.shards.held.length === calls);
    const stays = post(rig, '/v1/actors/counter/c1/hold');
    await until(() => rig.shards.held.length === calls + 1);
    for (const socket of sockets) socket.resetAndDestroy();
    // The gateway has read every reset once it answers a request that came after them all.
    for (let n = 0; n < 3; n += 1) await post(rig, '/v1/actors/counter/c1/echo');
    rig.shards.release();
    expect((await stays).status).toBe(200);
    expect(rig.gateway.counts().calls).toBe(0);
  });
});

describe('pages of other origins', () => {
  it('are allowed by exact match, told so, and refused otherwise', async () => {
    const rig = await startRig({ allowedOrigins: ['https://app.example'] });
    const ask = (origin: string, method = 'POST') =>
      fetch(`${rig.http}/v1/actors/counter/c1/echo`, { method, headers: { ...bearer, origin } });
    const good = await ask('https://app.example');
    expect([good.status, good.headers.get('access-control-allow-origin'), good.headers.get('vary')]).toEqual([
      200,
      'https://app.example',
      'Origin',
    ]);
    const preflight = await ask('https://app.example', 'OPTIONS');
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-headers')).toContain('Authorization');
    expectSecurityHeaders(preflight.headers);
    for (const origin of ['https://app.example.evil', 'http://app.example', 'null', 'https://app.example:444']) {
      const bad = await ask(origin);
      expect([bad.status, bad.headers.get('access-control-allow-origin')]).toEqual([403, null]);
    }
  });

  it('reach a development server only from this machine', async () => {
    const rig = await startRig({ dev: true });
    const ask = async (headers: string) =>
      (await raw(rig, `GET /v1/actors/counter/c1/state HTTP/1.1\r\n${headers}\r\nConnection: close\r\n\r\n`)).slice(
        9,
        12,
      );
    expect(await ask('Host: localhost:8080')).toBe('200');
    expect(await ask('Host: 127.0.0.1\r\nOrigin: http://localhost:3000')).toBe('200');
    expect(await ask('Host: 127.0.0.1\r\nOrigin: https://evil.example')).toBe('403');
    expect(await ask('Host: rebound.example')).toBe('403');
  });

  it('share nothing with sockets: an HTTP caller is no session of a connection', async () => {
    const rig = await startRig();
    const client = await connect(rig, { token: token() });
    await client.rpc('echo');
    await post(rig, '/v1/actors/counter/c1/echo');
    expect(rig.shards.ops(inboundOp.open).map((envelope) => envelope[1])).toEqual([1, 2]);
  });
});
