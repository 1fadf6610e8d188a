/** The shipped nginx.conf in front of a server: TLS, calls, subscriptions, what is logged, what is open to whom. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { createClient } from '../../src/client/client.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import type { app } from '../support/apps/ledger.ts';
import { getState, type HttpAnswer, post, send } from '../support/http.ts';
import { needs } from '../support/needs.ts';
import { Nginx, substitute } from '../support/nginx.ts';
import { handshake } from '../support/raw-tls.ts';
import type { ServerProcess } from '../support/server.ts';
import { freePort, Stage } from '../support/stage.ts';
import { mint } from '../support/token.ts';
import { eventually } from '../support/wait.ts';

beforeAll(() => void needs('nginx'), 300_000);

const stage = new Stage();
let server: ServerProcess;
let nginx: Nginx;
let ca: string;

beforeAll(async () => {
  const env = { AUTH_QUERY_TOKEN: 'true' };
  server = await stage.serve({ app: 'ledger', env });
  nginx = await Nginx.start(stage, { upstreams: [new URL(server.address).host] });
  ({ ca } = nginx);
});
afterAll(() => stage.end());

/** Names of headers in an answer, sorted; a header that came twice is there twice. */
function headerNames({ rawHeaders }: HttpAnswer): string[] {
  return rawHeaders
    .filter((_, at) => at % 2 === 0)
    .map((name) => name.toLowerCase())
    .sort();
}

const security = {
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};

describe('over https', () => {
  test('calls and states are answered as by the server itself', async () => {
    const token = await mint();
    const strange = ['list', 'a/b?c=d %2F ü', 'append'] as const;
    for (const [n, address] of [nginx.address, server.address].entries()) {
      const ask = { token, ca, input: { entry: address }, key: `key-${n}` };
      expect((await post(address, strange, ask)).json()).toEqual({ result: n + 1 });
      expect((await post(address, strange, ask)).json()).toEqual({ result: n + 1 });
    }
    const through = await getState(nginx.address, 'list', strange[1], { token, ca });
    expect(through.json()).toEqual({ entries: [nginx.address, server.address] });
    const refused = await post(nginx.address, ['list', 'a', 'nope'], { token, ca });
    expect([refused.status, refused.json().error?.code]).toEqual([404, 'UNKNOWN_METHOD']);
  });

  test('security headers come once each, from the server or from nginx', async () => {
    const token = await mint();
    const answers = {
      server: await post(nginx.address, ['counter', 'h', 'increment'], { token, ca }),
      'server, with a key': await post(nginx.address, ['counter', 'h', 'increment'], { token, ca, key: 'h' }),
      nginx: await send(nginx.address, 'GET', '/v1/auth?token=x', { ca }),
      'nginx in the shape of the server': await send(nginx.address, 'POST', '/', { ca, input: 'x'.repeat(70_000) }),
    };
    expect(Object.values(answers).map(({ status }) => status)).toEqual([200, 200, 400, 413]);
    for (const answer of Object.values(answers)) {
      expect(answer.headers).toMatchObject(security);
      const names = headerNames(answer);
      expect(names).toEqual([...new Set(names)]);
      expect(answer.headers['server'] ?? 'nginx').toBe('nginx');
    }
  });

  test('TLS 1.2 and 1.3 with forward secrecy are taken, TLS 1.1 and older ciphers are not', async () => {
    const at = (options: object) => handshake(nginx.address, { ca, ...options });
    expect(await at({})).toMatchObject({ version: 'TLSv1.3' });
    expect(await at({ maxVersion: 'TLSv1.2' })).toEqual({
      version: 'TLSv1.2',
      cipher: expect.stringMatching(/^TLS_ECDHE_ECDSA_WITH_(AES_\d+_GCM|CHACHA20)/),
    });
    const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' };
    // An alert is the other side's word: this side would have spoken it.
    await expect(at(old)).rejects.toThrow(/alert protocol version/);
    const cbc = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA' };
    await expect(at(cbc)).rejects.toThrow(/alert handshake failure/);
  });

  test('plain HTTP is sent to https, with its method and its path', async () => {
    const answer = await send(nginx.plainAddress, 'POST', '/v1/actors/list/a%2Fb/append?x=1', { input: 1 });
    expect(answer.status).toBe(308);
    expect(answer.headers['location']).toBe('https://127.0.0.1/v1/actors/list/a%2Fb/append?x=1');
    expect(answer.headers['strict-transport-security']).toBeUndefined();
  });

  test('/health and /ready are for this machine only', async () => {
    for (const path of ['/health', '/ready', '/%68ealth', '/x/../ready', '/ready?x']) {
      const inside = await send(nginx.address, 'GET', path, { ca });
      const outside = await send(nginx.address, 'GET', path, { ca, from: '127.0.0.2' });
      // What only nginx takes for the same path is none to the server.
      expect([path, inside.status, outside.status]).toEqual([path, /^\/(health|ready)/.test(path) ? 200 : 404, 403]);
    }
    expect((await send(nginx.address, 'GET', '/v1/auth', { ca, from: '127.0.0.2' })).status).toBe(401);
  });
});

test('two clients of the project call and watch over wss', async () => {
  const clients = ['ada', 'bob'].map((sub) =>
    createClient<typeof app>({ url: nginx.address, token: () => mint({ sub }), WebSocket: nginx.WebSocket }),
  );
  onTestFinished(() => {
    for (const { connection } of clients) connection.close();
  });
  const [ada, bob] = clients.map((client) => client.list('shared'));
  const seen: string[][] = [];
  bob!.state.subscribe(({ entries }) => seen.push([...entries]));
  for (let n = 1; n <= 20; n += 1) expect(await ada!.append({ entry: `${n}` })).toBe(n);
  await eventually('bob has seen all', () => seen.at(-1)?.length === 20);
  expect(await bob!.append({ entry: 'bob' })).toBe(21);
});

describe('limits', () => {
  test('a token of 4 KiB is taken, a line over 8 KiB is not', async () => {
    const status = async (pad: number) => {
      const token = await mint({ claims: { pad: 'x'.repeat(pad) } });
      return { bytes: token.length, status: (await send(nginx.address, 'GET', '/v1/auth', { ca, token })).status };
    };
    expect(await status(2900)).toEqual({ bytes: expect.closeTo(4080, -2), status: 200 });
    expect(await status(6500)).toEqual({ bytes: expect.closeTo(8900, -3), status: 400 });
  });

  test('a body of frameBytesMax reaches the server, one byte more does not', async () => {
    const token = await mint();
    const of = (bytes: number, headers = {}) =>
      post(nginx.address, ['list', 'b', 'append'], { token, ca, headers, input: 'x'.repeat(bytes - 2) });
    const { frameBytesMax } = defaultLimits;
    expect((await of(frameBytesMax)).json().error?.code).toBe('INVALID');
    const answers = [await of(frameBytesMax + 1), await of(frameBytesMax + 1, { 'idempotency-key': 'k' })];
    for (const { status, json } of [...answers, await of(70_000, { 'transfer-encoding': 'chunked' })]) {
      expect(status).toBe(413);
      expect(json().error).toMatchObject({ code: 'TOO_LARGE', outcome: 'rejected', retryable: false });
    }
  });
});

describe('tokens', () => {
  /** Every way in which a token can come, also while the server is away; answers with the statuses. */
  async function present(token: string, at: Nginx): Promise<(number | string)[]> {
    const upgrade = (path: string, protocols: string[]) =>
      new Promise<number | string>((resolve) => {
        const socket = new WebSocket(`${at.address}${path}`, protocols, { ca: at.ca });
        socket.on('open', () => socket.close());
        socket.on('close', (code) => resolve(code));
        socket.on('unexpected-response', (request, { statusCode }) => {
          request.destroy();
          resolve(statusCode ?? 0);
        });
        socket.on('error', () => {});
      });
    const status = async (address: string, path: string, ask = {}) =>
      (await send(address, 'POST', path, { ca: at.ca, ...ask })).status;
    return [
      await upgrade(`/ws?token=${token}`, []),
      await upgrade(`/ws?x=1&token=${token}`, ['fermata.v1']),
      await upgrade('/ws', ['fermata.v1', `bearer.${token}`]),
      await status(at.address, '/v1/actors/counter/t/increment', { token }),
      await status(at.address, `/v1/actors/counter/t/increment?access_token=${token}`),
      await status(at.address, `/health?token=${token}`, { from: '127.0.0.2' }),
      await status(at.address, `/%77s?token=${token}`),
      await status(at.address, `/ws?token=${token}`, { input: 'x'.repeat(70_000) }),
      await status(at.address, `/x?token=${token}`, { input: 'x'.repeat(70_000) }),
      await status(at.plainAddress, `/ws?token=${token}`, { input: 'x'.repeat(70_000) }),
    ];
  }

  test('let clients in by each carrier, and are in no log', async () => {
    const token = await mint();
    expect(await present(token, nginx)).toEqual([1005, 1005, 1005, 200, 400, 400, 404, 413, 400, 308]);
    const away = await Nginx.start(stage, { upstreams: [`127.0.0.1:${await freePort()}`] });
    expect(await present(token, away)).toEqual([502, 502, 502, 502, 400, 400, 502, 413, 400, 308]);
    for (const { accessLog, errorLog } of [nginx, away]) {
      expect(accessLog).toContain('"path":"/ws"');
      expect(accessLog + errorLog).not.toContain(token.split('.')[2]);
      expect(accessLog + errorLog).not.toMatch(/token=/);
    }
    expect(away.errorLog).toContain('connect() failed');
    const lines = away.accessLog
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, string>);
    expect(lines[0]).toMatchObject({ method: 'GET', path: '/ws', status: '502', upstreamStatus: '502' });
  });

  test('would be in the error log if /ws had one', async () => {
    const from = 'error_log /dev/null emerg;';
    const upstreams = [`127.0.0.1:${await freePort()}`] as const;
    const loud = await Nginx.start(stage, { upstreams, replacements: [{ from, to: '' }] });
    const token = await mint();
    await present(token, loud);
    expect(loud.errorLog).toContain(token);
    expect(loud.accessLog).not.toContain(token);
  });
});

test('a place that is not in the file as often as it should be is an error', () => {
  expect(() => substitute('a b a', [{ from: 'a', to: 'c' }])).toThrow('"a" 2 times');
  expect(() => substitute('a b a', [{ from: 'd', to: 'c' }])).toThrow('"d" 0 times');
});
