/** What the shipped nginx.conf lets through to a server, and to which: seen by servers that write down what they get. */
import { once } from 'node:events';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { type HttpAsk, send } from '../support/http.ts';
import { needs } from '../support/needs.ts';
import { Nginx, type Replacement } from '../support/nginx.ts';
import { exchange } from '../support/raw-tls.ts';
import { freePort, Stage } from '../support/stage.ts';
import { TrapServer } from '../support/trap-server.ts';

beforeAll(() => void needs('nginx'), 300_000);

const call = '/v1/actors/list/a%2Fb/append';

async function trap(): Promise<TrapServer> {
  const server = await TrapServer.listen();
  onTestFinished(() => server.close());
  return server;
}

async function nginxBefore(first: string, second?: string, replacements: readonly Replacement[] = []): Promise<Nginx> {
  const stage = new Stage();
  onTestFinished(() => stage.end());
  return await Nginx.start(stage, { upstreams: second === undefined ? [first] : [first, second], replacements });
}

async function behindNginx(replacements: readonly Replacement[] = []): Promise<{ server: TrapServer; nginx: Nginx }> {
  const server = await trap();
  return { server, nginx: await nginxBefore(server.address, undefined, replacements) };
}

describe('headers', () => {
  const spoofed = {
    'x-forwarded-for': '10.1.2.3',
    'x-real-ip': '10.1.2.3',
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'evil.example',
    'x-request-id': 'mine',
    forwarded: 'for=10.1.2.3',
    proxy: 'http://evil.example',
  };

  test('what a client says about its address is overwritten', async () => {
    const { server, nginx } = await behindNginx();
    for (const ask of [{}, { key: 'k' }]) {
      await send(nginx.address, 'POST', call, { ca: nginx.ca, from: '127.0.0.3', headers: spoofed, ...ask });
    }
    for (const { path, headers } of server.requests) {
      expect(path).toBe(call);
      expect(headers).toMatchObject({ 'x-forwarded-for': '127.0.0.3', 'x-forwarded-proto': 'https' });
      expect(headers['x-request-id']).toMatch(/^[0-9a-f]{32}$/);
      for (const name of ['x-real-ip', 'x-forwarded-host', 'forwarded', 'proxy'])
        expect(headers).not.toHaveProperty(name);
    }
    expect(server.requests.map(({ headers }) => headers['idempotency-key'])).toEqual([undefined, 'k']);
    expect(nginx.accessLog).toContain('"client":"127.0.0.3"');
    expect(nginx.accessLog).not.toContain('10.1.2.3');
  });

  test('behind a named balancer the client is the right-most address that is none', async () => {
    const lines = ['set_real_ip_from 10.0.0.0/8;', 'real_ip_header X-Forwarded-For;', 'real_ip_recursive on;'];
    const { server, nginx } = await behindNginx([
      { from: `# ${lines[0]!}`, to: 'set_real_ip_from 127.0.0.4; set_real_ip_from 10.0.0.0/8;' },
      ...lines.slice(1).map((line) => ({ from: `# ${line}`, to: line })),
    ]);
    const headers = { 'x-forwarded-for': '192.0.2.66, 198.51.100.7, 10.9.9.9' };
    for (const from of ['127.0.0.4', '127.0.0.5'])
      await send(nginx.address, 'GET', '/', { ca: nginx.ca, from, headers });
    const addresses = server.requests.map((request) => request.headers['x-forwarded-for']);
    expect(addresses).toEqual(['198.51.100.7', '127.0.0.5']);
  });

  test('an upgrade is passed on at /ws and to WebSocket only', async () => {
    const { server, nginx } = await behindNginx();
    const headers = { upgrade: 'h2c', connection: 'Upgrade, HTTP2-Settings', 'http2-settings': 'AAMAAABkAAQAAP' };
    for (const path of ['/', call, '/ws']) await send(nginx.address, 'GET', path, { ca: nginx.ca, headers });
    const websocket = { upgrade: 'websocket', connection: 'Upgrade' };
    for (const ask of [{}, { key: 'k' }]) {
      await send(nginx.address, 'GET', call, { ca: nginx.ca, headers: websocket, ...ask });
    }
    expect(server.requests).toHaveLength(5);
    for (const request of server.requests) {
      expect(request.headers).not.toHaveProperty('upgrade');
      expect(request.headers.connection ?? 'keep-alive').toBe('keep-alive');
    }
    const socket = new WebSocket(`${nginx.address}/ws`, { ca: nginx.ca });
    await once(socket, 'open');
    socket.terminate();
    expect(server.requests.at(-1)?.headers).toMatchObject({ upgrade: 'websocket', connection: 'upgrade' });
  });
});

describe('requests that two readers could read differently', () => {
  const head = `POST ${call} HTTP/1.1\r\nHost: a\r\n`;
  const inner = `GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`;
  const probes: Record<string, string> = {
    'length and chunks': `${head}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
    'chunks and length': `${head}Transfer-Encoding: chunked\r\nContent-Length: ${5 + inner.length}\r\n\r\n0\r\n\r\n${inner}`,
    'two lengths': `${head}Content-Length: 0\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`,
    'two equal lengths': `${head}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx${inner}`,
    'a list of lengths': `${head}Content-Length: 0, ${inner.length}\r\n\r\n${inner}`,
    'a signed length': `${head}Content-Length: +0\r\n\r\n${inner}`,
    'a folded header': `${head}X-A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${inner}`,
    'a first folded line': `POST ${call} HTTP/1.1\r\n Host: a\r\nContent-Length: 0\r\n\r\n${inner}`,
    'a space before the colon': `${head}Content-Length : ${inner.length}\r\n\r\n${inner}`,
    'a tab before the name': `${head}\tTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
    'chunks in 1.0': `POST ${call} HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
    'two kinds of chunks': `${head}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${inner}`,
    'a bad chunk size': `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n${inner}`,
    'two hosts': `${head}Host: b\r\nContent-Length: 0\r\n\r\n${inner}`,
    'no host': `POST ${call} HTTP/1.1\r\nContent-Length: 0\r\n\r\n${inner}`,
    'a NUL in a header': `${head}X-A: \0b\r\nContent-Length: 0\r\n\r\n${inner}`,
    'a NUL in the path': `GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n${inner}`,
  };

  test('are refused with 400 and never reach the server', async () => {
    const { server, nginx } = await behindNginx();
    const statuses: Record<string, unknown> = {};
    for (const [name, bytes] of Object.entries(probes)) {
      const answer = await exchange(nginx.address, nginx.ca, bytes);
      statuses[name] = [...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);
    }
    expect(statuses).toEqual(Object.fromEntries(Object.keys(probes).map((name) => [name, ['400']])));
    expect(server.requests).toEqual([]);
  });

  test('while a plain one reaches it once, and so does what follows it', async () => {
    const { server, nginx } = await behindNginx();
    const last = `GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
    const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`;
    const answer = await exchange(nginx.address, nginx.ca, `${head}Content-Length: 2\r\n\r\nhi${chunked}${last}`);
    expect(answer.match(/HTTP\/1\.1 200/g)).toHaveLength(3);
    const seen = server.requests.map(({ path, body, headers }) => [path, body, headers['content-length']]);
    expect(seen).toEqual([
      [call, 'hi', '2'],
      [call, 'abc', '3'],
      ['/last', '', undefined],
    ]);
  });
});

describe('two servers behind it', () => {
  interface Pair {
    readonly one: TrapServer;
    readonly two: TrapServer;
    /** Statuses of `times` requests; both servers have been asked by then. */
    ask(method: string, times: number, ask?: HttpAsk): Promise<number[]>;
    readonly total: number;
  }

  async function pair(): Promise<Pair> {
    const [one, two] = [await trap(), await trap()];
    const nginx = await nginxBefore(one.address, two.address);
    return {
      one,
      two,
      ask: async (method, times, ask = {}) => {
        const statuses: number[] = [];
        for (let n = 0; n < times; n += 1)
          statuses.push((await send(nginx.address, method, call, { ca: nginx.ca, ...ask })).status);
        return statuses.sort((a, b) => a - b);
      },
      get total() {
        return one.requests.length + two.requests.length;
      },
    };
  }

  const half = [200, 200, 200];

  test('a server that is not there costs no request', async () => {
    const up = await trap();
    const nginx = await nginxBefore(`127.0.0.1:${await freePort()}`, up.address);
    for (const ask of [{ ca: nginx.ca }, { ca: nginx.ca, key: 'k' }]) {
      for (let n = 0; n < 4; n += 1) expect((await send(nginx.address, 'POST', call, ask)).status).toBe(200);
    }
    for (let n = 0; n < 4; n += 1) {
      const socket = new WebSocket(`${nginx.address}/ws`, { ca: nginx.ca });
      await once(socket, 'open');
      socket.terminate();
    }
    expect(up.requests).toHaveLength(12);
  });

  test('after a lost answer only what may be repeated is sent to the other', async () => {
    const both = await pair();
    both.one.respond = (response) => response.socket!.destroy();
    expect(await both.ask('POST', 6)).toEqual([...half, 502, 502, 502]);
    expect(both.total).toBe(6);
    expect(await both.ask('POST', 6, { key: 'k' })).toEqual([...half, ...half]);
    expect(await both.ask('GET', 6)).toEqual([...half, ...half]);
    expect(both.two.requests).toHaveLength(15);
  });

  test('a 503 is taken to the other server with a key, and to the caller without', async () => {
    const both = await pair();
    both.one.respond = (response) => response.writeHead(503).end('{"error":{"code":"OVERLOADED"}}');
    expect(await both.ask('POST', 6)).toEqual([...half, 503, 503, 503]);
    expect(both.total).toBe(6);
    expect(await both.ask('POST', 6, { key: 'k' })).toEqual([...half, ...half]);
    expect(await both.ask('GET', 6)).toEqual([...half, ...half]);
    // It is asked again each time: a 503 may speak of one actor, not of the server.
    expect(both.one.requests.length).toBeGreaterThan(4);
  });
});

test('the limits by address work once their # is taken off', async () => {
  const limits = ['limit_conn connections_by_address 200;', 'limit_req zone=requests_by_address burst=100 nodelay;'];
  const { nginx } = await behindNginx([
    { from: `# ${limits[0]!}`, to: 'limit_conn connections_by_address 3;' },
    { from: `# ${limits[1]!}`, to: 'limit_req zone=requests_by_address burst=10 nodelay;' },
    { from: 'rate=50r/s', to: 'rate=1r/m' },
  ]);
  const sockets: WebSocket[] = [];
  onTestFinished(() => {
    for (const socket of sockets) socket.terminate();
  });
  for (let n = 0; n < 3; n += 1) {
    const socket = new WebSocket(`${nginx.address}/ws`, { ca: nginx.ca });
    sockets.push(socket);
    await once(socket, 'open');
  }
  const refused = await send(nginx.address, 'GET', '/', { ca: nginx.ca });
  expect([refused.status, refused.json().error?.code]).toEqual([429, 'RATE_LIMITED']);
  const other = { ca: nginx.ca, from: '127.0.0.6' };
  const statuses: number[] = [];
  for (let n = 0; n < 15; n += 1) statuses.push((await send(nginx.address, 'GET', '/', other)).status);
  expect(statuses).toEqual([...Array.from({ length: 11 }, () => 200), 429, 429, 429, 429]);
});
