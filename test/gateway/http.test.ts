import { afterEach, describe, expect, it } from 'vitest';
import { inboundOp } from '../../src/protocol/envelope.ts';
import { bearer, expectSecurityHeaders, post, raw } from './requests.ts';
import { startRig, stopRigs } from './rig.ts';
import { token } from './tokens.ts';

afterEach(stopRigs);

describe('a call over HTTP', () => {
  it('reaches the actor of its decoded path, with its key', async () => {
    const rig = await startRig();
    const answer = await post(rig, '/v1/actors/counter/room%2F1%20%C3%A9/echo', '{"amount":2}', {
      'idempotency-key': 'k1',
      'x-request-id': 'r-1',
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(await answer.json()).toEqual({ result: { amount: 2 } });
    expect(rig.shards.calls[0]).toEqual([2, 1, 1, 'counter', 'room/1 é', 'echo', 'k1', -1, 0, { amount: 2 }, '|r-1']);
    expect(rig.shards.seen[0]!.envelope).toMatchObject([
      inboundOp.open,
      1,
      { kind: 'http', tenant: 'acme', userId: 'user-1' },
    ]);
  });

  it('without a body has no input and may have no result; memory says that it is not durable', async () => {
    const rig = await startRig();
    expect(await (await post(rig, '/v1/actors/counter/c1/echo')).text()).toBe('{}');
    expect(rig.shards.calls[0]!.slice(9)).toEqual([null, expect.stringMatching(/^\|/), true]);
    expect(await (await post(rig, '/v1/actors/counter/c1/memory')).json()).toEqual({ result: 1, durable: false });
  });

  it.each([
    ['fail', 422, { code: 'HANDLER', message: 'no luck', outcome: 'failed', retryable: false }],
    ['seat', 422, { code: 'SEAT_TAKEN', message: 'Seat 4 is taken', outcome: 'failed', retryable: false }],
    ['nope', 404, { code: 'UNKNOWN_METHOD', message: 'Unknown method: nope', outcome: 'rejected', retryable: false }],
    [
      'busy',
      503,
      { code: 'OVERLOADED', message: 'Mailbox full', outcome: 'rejected', retryable: true, retryAfterMs: 1500 },
    ],
  ])('of %s fails with %i', async (method, status, error) => {
    const answer = await post(await startRig(), `/v1/actors/counter/c1/${method}`);
    expect(answer.status).toBe(status);
    expect(await answer.json()).toEqual({ error });
    expect(answer.headers.get('retry-after')).toBe(method === 'busy' ? '2' : null);
    expectSecurityHeaders(answer.headers);
  });

  it.each([
    ['/v1/actors/__proto__/c1/echo', '', {}, 404, 'Unknown actor: __proto__'],
    ['/v1/actors/counter/c1/__proto__', '', {}, 404, 'Unknown method: __proto__'],
    ['/v1/actors/counter//echo', '', {}, 400, 'actorId must not be empty'],
    ['/v1/actors/counter/a%00b/echo', '', {}, 400, 'actorId must not hold control characters'],
    ['/v1/actors/counter/%E0%A4%A/echo', '', {}, 400, 'The path holds a broken percent escape'],
    ['/v1/actors/counter/%ff/echo', '', {}, 400, 'The path holds a broken percent escape'],
    [
      `/v1/actors/counter/${'a'.repeat(257)}/echo`,
      '',
      {},
      400,
      'actorId must have at most 256 characters, this one has 257',
    ],
    ['/v1/actors/counter/c1/echo', '{"a":', {}, 400, 'The body must be JSON'],
    ['/v1/actors/counter/c1/echo', '{"__proto__":1}', {}, 400, 'JSON must not hold a key "__proto__"'],
    ['/v1/actors/counter/c1/echo', '['.repeat(999) + ']'.repeat(999), {}, 400, 'JSON must nest at most 64 levels'],
    [
      '/v1/actors/counter/c1/echo',
      '"x"',
      { 'idempotency-key': 'k'.repeat(257) },
      400,
      'key must have at most 256 characters, this one has 257',
    ],
  ])('to %s with body %s is refused and not forwarded', async (path, body, headers, status, message) => {
    const rig = await startRig();
    const answer = await post(rig, path, body, headers);
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ error: { message } });
    expect(rig.shards.seen).toHaveLength(0);
  });

  it('with bytes that are no UTF-8 is refused', async () => {
    const answer = await post(await startRig(), '/v1/actors/counter/c1/echo', Buffer.from([0x22, 0xff, 0xfe, 0x22]));
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: { code: 'MALFORMED', message: 'The body must be UTF-8' } });
  });

  it('over the size limit is 413, also when the length is not announced', async () => {
    const rig = await startRig();
    const big = await post(rig, '/v1/actors/counter/c1/echo', `"${'x'.repeat(65535)}"`).catch(() => undefined);
    expect([413, undefined]).toContain(big?.status);
    const chunk = 'x'.repeat(40_000);
    const chunked = `${chunk.length.toString(16)}\r\n${chunk}\r\n`;
    const head = `POST /v1/actors/counter/c1/echo HTTP/1.1\r\nHost: x\r\nAuthorization: ${bearer.authorization}\r\nTransfer-Encoding: chunked\r\n\r\n`;
    expect(await raw(rig, `${head}${chunked}${chunked}0\r\n\r\n`)).toMatch(/^HTTP\/1.1 413 /);
    expect(rig.shards.seen).toHaveLength(0);
  });

  it('without a token is 401 and says no more', async () => {
    const rig = await startRig();
    for (const authorization of ['', 'Bearer', 'Bearer x', 'Basic dTpw', `Token ${token()}`]) {
      const answer = await post(rig, '/v1/actors/counter/c1/echo', '', { authorization });
      expect(answer.status).toBe(401);
      expect(await answer.json()).toEqual({
        error: { code: 'UNAUTHORIZED', message: 'Unauthorized', outcome: 'rejected', retryable: false },
      });
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    }
    expect(rig.shards.seen).toHaveLength(0);
  });

  it('is delivered whole when its result is large', async () => {
    const rig = await startRig();
    const answer = await post(rig, '/v1/actors/counter/c1/big', '3000000');
    expect(((await answer.json()) as { result: string }).result).toHaveLength(3_000_000);
  });
});

describe('a state over HTTP', () => {
  it('has its number and a checksum as ETag and answers 304 to who knows it', async () => {
    const rig = await startRig();
    const get = (headers: Record<string, string> = {}, method = 'GET') =>
      fetch(`${rig.http}/v1/actors/counter/c1/state`, { method, headers: { ...bearer, ...headers } });
    const first = await get();
    expect([first.status, first.headers.get('etag'), await first.text()]).toEqual([200, '"7-1smmpez"', '{"count":3}']);
    for (const known of ['"7-1smmpez"', 'W/"7-1smmpez"', '"3", "7-1smmpez"'])
      expect((await get({ 'if-none-match': known })).status).toBe(304);
    // The number comes again with another state after a restore.
    for (const stale of ['"6"', '"7"', '"7-abc"']) expect((await get({ 'if-none-match': stale })).status).toBe(200);
    const head = await get({}, 'HEAD');
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '11', '']);
    expect((await fetch(`${rig.http}/v1/actors/counter/c1/state`)).status).toBe(401);
  });
});

describe('routes', () => {
  it('know health, readiness, wrong methods and nothing else, each with the security headers', async () => {
    const rig = await startRig();
    const expected: [string, string, number, string | null][] = [
      ['GET', '/health', 200, null],
      ['HEAD', '/ready', 200, null],
      ['POST', '/health', 405, 'GET, HEAD'],
      ['GET', '/v1/actors/counter/c1/echo', 405, 'POST'],
      ['DELETE', '/v1/actors/counter/c1/state', 405, 'GET, HEAD, POST'],
      ['GET', '/', 404, null],
      ['GET', '/v1/actors/counter/c1', 404, null],
      ['GET', '/v1/actors/counter/c1/state/x', 404, null],
      ['GET', '/healthz', 404, null],
      ['GET', '/ws', 426, null],
    ];
    for (const [method, path, status, allow] of expected) {
      const answer = await fetch(`${rig.http}${path}`, { method });
      expect([path, answer.status, answer.headers.get('allow')]).toEqual([path, status, allow]);
      expectSecurityHeaders(answer.headers);
    }
  });

  it('take dots in a path as names, never as a way up', async () => {
    const rig = await startRig();
    const answer = await raw(rig, 'POST /v1/actors/../../health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1.1 404 /);
    expect(answer).toContain('Unknown actor: ..');
  });

  it('say 503 while starting, stay healthy, and refuse calls', async () => {
    const rig = await startRig();
    rig.phase.set('starting');
    expect((await fetch(`${rig.http}/health`)).status).toBe(200);
    expect((await fetch(`${rig.http}/ready`)).status).toBe(503);
    const answer = await post(rig, '/v1/actors/counter/c1/echo');
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await answer.json()).toMatchObject({ error: { code: 'OVERLOADED', message: 'Starting', retryable: true } });
  });

  it('say on /health what the process has lost, with 503, and go on', async () => {
    const rig = await startRig();
    rig.phase.setHealth('jetstream-gone');
    const answer = await fetch(`${rig.http}/health`);
    expect([answer.status, await answer.json()]).toEqual([503, { status: 'jetstream-gone' }]);
    expect((await post(rig, '/v1/actors/counter/c1/echo')).status).toBe(200);
    rig.phase.setHealth('ok');
    const again = await fetch(`${rig.http}/health`);
    expect([again.status, await again.json()]).toEqual([200, { status: 'ok' }]);
  });

  it('serve development files with a policy for pages, and only there', async () => {
    const devFiles = (path: string) => (path === '/' ? { type: 'text/html; charset=utf-8', body: '<p>hi' } : undefined);
    const rig = await startRig({ dev: true, gateway: { devFiles } });
    const page = await fetch(rig.http);
    expect([page.status, page.headers.get('content-type'), await page.text()]).toEqual([
      200,
      'text/html; charset=utf-8',
      '<p>hi',
    ]);
    expect(page.headers.get('content-security-policy')).toContain("script-src 'self'");
    expectSecurityHeaders(page.headers);
    expect((await fetch(`${rig.http}/other`)).status).toBe(404);
  });
});
