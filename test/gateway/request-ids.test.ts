import { connect as connectTcp } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { connect, type Rig, startRig, stopRigs, upgrade } from './rig.ts';
import { token } from './tokens.ts';

afterEach(stopRigs);

const given = '0123456789abcdef0123456789abcdef';
const traceId = '0af7651916cd43dd8448eb211c80319c';
const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
const made = /^[\w-]{16}$/;

function ask(rig: Rig, path: string, headers: Record<string, string> = {}, method = 'POST'): Promise<Response> {
  return fetch(`${rig.http}${path}`, { method, headers: { authorization: `Bearer ${token()}`, ...headers } });
}

/** What the shard got with its last call; '' for nothing. */
function carried(rig: Rig): string {
  return rig.shards.calls.at(-1)?.[10] ?? '';
}

interface Line {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

function linesOf(rig: Rig, msg: string): Line[] {
  return rig.lines.map((line) => JSON.parse(line) as Line).filter((line) => line.msg === msg);
}

describe('an answer over HTTP', () => {
  it.each([
    ['of a call', '/v1/actors/counter/c1/echo', {}],
    ['to a wrong token', '/v1/actors/counter/c1/echo', { authorization: 'Bearer x.y.z' }],
    ['to an unknown actor', '/v1/actors/nobody/c1/fail', {}],
    ['to a broken path', '/v1/actors/%/c1/echo', {}],
    ['to a path that nobody has', '/nowhere', {}],
    ['to a wrong method', '/health', {}],
    ['to a forbidden origin', '/v1/actors/counter/c1/echo', { origin: 'https://evil.test' }],
  ])('%s has the request id that was given, or one of its own', async (_what, path, headers) => {
    const rig = await startRig();
    const named = await ask(rig, path, { ...headers, 'x-request-id': given });
    expect(named.headers.get('x-request-id')).toBe(given);
    expect((await ask(rig, path, headers)).headers.get('x-request-id')).toMatch(made);
  });

  it.each(['', 'x'.repeat(65), 'a b', 'a/b', '<script>'])('does not repeat the id "%s"', async (id) => {
    const rig = await startRig();
    expect((await ask(rig, '/health', { 'x-request-id': id }, 'GET')).headers.get('x-request-id')).toMatch(made);
  });

  it('has it once, also when the request had it twice', async () => {
    const rig = await startRig();
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connectTcp(rig.gateway.port, '127.0.0.1', () => {
        socket.end(
          'GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-Id: a\r\nX-Request-Id: b\r\nConnection: close\r\n\r\n',
        );
      });
      let read = '';
      socket.on('data', (bytes) => (read += bytes.toString()));
      socket.on('end', () => resolve(read));
      socket.on('error', reject);
    });
    expect(text.match(/x-request-id: \S+/gi)).toHaveLength(1);
  });

  it('lets pages of other origins read it', async () => {
    const rig = await startRig({ allowedOrigins: ['https://page.test'] });
    const answer = await ask(rig, '/health', { origin: 'https://page.test' }, 'GET');
    expect(answer.headers.get('access-control-expose-headers')).toContain('X-Request-Id');
  });
});

describe('an upgrade', () => {
  it.each([
    ['taken', { token: token() }, 101],
    ['refused', { token: 'x.y.z' }, 401],
    ['from a forbidden origin', { token: token(), headers: { origin: 'https://evil.test' } }, 403],
  ])('that is %s is answered with its request id', async (_what, options, status) => {
    const rig = await startRig();
    const { headers = {} } = options as { headers?: Record<string, string> };
    const named = await upgrade(rig, { ...options, headers: { ...headers, 'x-request-id': given } });
    expect(named).toMatchObject({ status, headers: { 'x-request-id': given } });
    const unnamed = await upgrade(rig, options);
    expect(unnamed.headers['x-request-id']).toMatch(made);
  });

  it('that is refused is logged with its id and the reason, and a flood of them is not', async () => {
    const rig = await startRig();
    await upgrade(rig, { token: 'x.y.z', headers: { 'x-request-id': given } });
    expect(linesOf(rig, 'refused an upgrade')).toMatchObject([{ level: 30, requestId: given, code: 'UNAUTHORIZED' }]);
    for (let n = 0; n < 5; n += 1)
      await Promise.all(Array.from({ length: 20 }, () => upgrade(rig, { token: 'x.y.z' })));
    expect(linesOf(rig, 'refused an upgrade').length).toBeLessThanOrEqual(20);
    await rig.gateway.close(0);
    expect(linesOf(rig, 'lines of this kind were left out of the log')).toContainEqual(
      expect.objectContaining({ kind: 'refused an upgrade' }),
    );
  });
});

describe('a call', () => {
  it('over a socket carries nothing when nobody gave it an id', async () => {
    const rig = await startRig();
    const client = await connect(rig, { token: token(), protocols: ['fermata.v1'] });
    await client.rpc('echo', 1);
    expect(rig.shards.calls[0]).toHaveLength(10);
  });

  it('over a socket is named by the id of the upgrade and its own', async () => {
    const rig = await startRig();
    const client = await connect(rig, { token: token(), headers: { 'x-request-id': given } });
    await client.rpc('echo', 1);
    expect(carried(rig)).toBe(`|${given}/rpc_1`);
    client.send({ type: 'rpc', id: 'a "b"\n', actor: 'counter', actorId: 'c1', method: 'echo' });
    await client.next('rpc:result');
    await client.next('rpc:result');
    expect(carried(rig)).toBe(`|${given}/a "b"\ufffd`);
  });

  it.each([
    ['of a client with the additions', ['fermata.v1'], traceparent, `${traceparent}|`],
    ['of a base client, as any field that it does not know', [], traceparent, ''],
    ['that is malformed', ['fermata.v1'], `${traceparent}-more`, ''],
    ['that is no text', ['fermata.v1'], { toString: 1 }, ''],
  ])('takes the traceparent %s', async (_what, protocols, sent, expected) => {
    const rig = await startRig();
    const client = await connect(rig, { token: token(), protocols: [...protocols] });
    expect(await client.rpc('echo', 1, { traceparent: sent })).toMatchObject({ result: 1 });
    expect(carried(rig)).toBe(expected);
  });

  it('over HTTP carries its request id, made or given, and a traceparent that is well-formed', async () => {
    const rig = await startRig();
    const path = '/v1/actors/counter/c1/echo';
    const answer = await ask(rig, path);
    expect(carried(rig)).toBe(`|${answer.headers.get('x-request-id')!}`);
    await ask(rig, path, { 'x-request-id': given, traceparent });
    expect(carried(rig)).toBe(`${traceparent}|${given}`);
    await ask(rig, path, { 'x-request-id': given, traceparent: traceparent.toUpperCase() });
    expect(carried(rig)).toBe(`|${given}`);
  });
});

describe('at level debug', () => {
  it('each call leaves one line, with its ids, its outcome and its time', async () => {
    const rig = await startRig({ logLevel: 'debug' });
    const client = await connect(rig, {
      token: token(),
      protocols: ['fermata.v1'],
      headers: { 'x-request-id': given },
    });
    await client.rpc('echo', 'secret input', { traceparent });
    await client.rpc('fail');
    await ask(rig, '/v1/actors/counter/c1/echo', { 'x-request-id': 'by-http' });
    const lines = linesOf(rig, 'call');
    expect(lines).toMatchObject([
      { requestId: `${given}/rpc_1`, traceId, tenant: 'acme', actor: 'counter', actorId: 'c1', method: 'echo' },
      { requestId: `${given}/rpc_2`, method: 'fail', outcome: 'failed', code: expect.any(String) as string },
      { requestId: 'by-http', outcome: 'ok' },
    ]);
    for (const { level, ms } of lines) expect([level, typeof ms]).toEqual([20, 'number']);
    expect(rig.lines.join('')).not.toContain('secret input');
  });

  it('a refusal of the gateway is such a line too, and a connection has its own', async () => {
    const rig = await startRig({ logLevel: 'debug', limits: { tenantCallsMax: 1 } });
    const client = await connect(rig, { token: token(), protocols: ['fermata.v1'] });
    client.send({ type: 'rpc', id: 'r1', actor: 'counter', actorId: 'c1', method: 'hold' });
    expect(await client.rpc('echo')).toMatchObject({ code: 'OVERLOADED' });
    expect(linesOf(rig, 'call')).toMatchObject([{ outcome: 'rejected', code: 'OVERLOADED' }]);
    const [connected] = linesOf(rig, 'connected');
    expect(connected).toMatchObject({
      tenant: 'acme',
      additions: true,
      requestId: expect.stringMatching(made) as string,
    });
    client.socket.close(1000);
    await client.closed;
    rig.shards.release();
    await rig.gateway.close(0);
    expect(linesOf(rig, 'disconnected')).toMatchObject([{ requestId: connected!['requestId'], code: 1000 }]);
  });
});

describe('when a shard dies', () => {
  it('its calls are logged with their ids, at most 20 of them', async () => {
    const rig = await startRig();
    const client = await connect(rig, {
      token: token(),
      protocols: ['fermata.v1'],
      headers: { 'x-request-id': given },
    });
    for (let n = 0; n < 50; n += 1)
      client.send({ type: 'rpc', id: `r${n}`, actor: 'counter', actorId: 'c1', method: 'hold', traceparent });
    await client.rpc('echo');
    rig.gateway.shardLost(0, 3);
    expect(linesOf(rig, 'a shard died while it ran this call')).toMatchObject([
      { level: 50, tenant: 'acme', actor: 'counter', actorId: 'c1', method: 'hold', requestId: `${given}/r2`, traceId },
    ]);
    const [line] = linesOf(rig, 'calls to a shard that died ended unknown');
    expect(line).toMatchObject({ level: 40, shard: 0, ended: 50 });
    expect(line!['calls']).toHaveLength(20);
    expect(line!['calls']).toContainEqual(expect.objectContaining({ requestId: `${given}/r19`, traceId }));
  });

  it('and its call is not run any more, that is logged', async () => {
    const rig = await startRig();
    const client = await connect(rig, {
      token: token(),
      protocols: ['fermata.v1'],
      headers: { 'x-request-id': given },
    });
    client.send({ type: 'rpc', id: 'r0', actor: 'counter', actorId: 'c1', method: 'hold' });
    await client.rpc('echo');
    const { fingerprint } = rig.gateway.shardLost(0, 1)!;
    rig.gateway.setPoison([fingerprint]);
    rig.gateway.shardBack(0);
    await client.rpc('hold');
    expect(linesOf(rig, 'refused a quarantined call')).toMatchObject([
      { level: 40, tenant: 'acme', actor: 'counter', actorId: 'c1', method: 'hold', requestId: `${given}/rpc_2` },
    ]);
  });
});
