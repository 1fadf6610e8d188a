/** What a stranger may try at the door, beside forged tokens (auth.test.ts) and hostile frames (hostile.test.ts). */
import { connect as connectTcp } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { raw } from './requests.ts';
import { connect, doors, startRig, stopRigs, upgrade } from './rig.ts';
import { claims, token, without } from './tokens.ts';

afterEach(stopRigs);

const state = '/v1/actors/counter/c1/state';

describe('a cookie', () => {
  it('opens nothing, whatever it holds, and none is ever set', async () => {
    const rig = await startRig({ allowedOrigins: ['https://app.example'] });
    const cookie = ['token', 'access_token', 'authorization', 'session'].map((name) => `${name}=${token()}`).join('; ');
    const byCookie = await upgrade(rig, { headers: { cookie, origin: 'https://app.example' } });
    const byHttp = await fetch(`${rig.http}${state}`, { headers: { cookie } });
    const byPreflight = await fetch(`${rig.http}${state}`, { method: 'OPTIONS', headers: { cookie } });
    const byToken = await upgrade(rig, { token: token() });
    expect([byCookie.status, byHttp.status, byPreflight.status, byToken.status]).toEqual([401, 401, 204, 101]);
    for (const headers of [byCookie.headers, byToken.headers]) expect(headers).not.toHaveProperty('set-cookie');
    for (const { headers } of [byHttp, byPreflight]) {
      expect(headers.getSetCookie()).toEqual([]);
      // Without this a browser keeps the answer from a page that sent cookies along.
      expect(headers.get('access-control-allow-credentials')).toBeNull();
    }
  });
});

describe('whoever is refused', () => {
  it('cannot tell a tenant that does not exist from a bad token', async () => {
    const rig = await startRig();
    const refused = [
      token(claims({ tenant: 'Never Heard Of' })),
      token(claims({ tenant: 'acme' }), {}, 'another secret of more than thirty-two'),
      token(claims({ tenant: 'nobody-has-this' }), {}, 'another secret of more than thirty-two'),
      token(without('tenant')),
      'x.y.z',
    ];
    const answers = new Set<string>();
    for (const given of refused) {
      const answer = await fetch(`${rig.http}${state}`, { headers: { authorization: `Bearer ${given}` } });
      const { status, body, headers } = await upgrade(rig, { token: given });
      const same = (all: [string, unknown][]) => all.filter(([name]) => !/^(x-request-id|date)$/i.test(name));
      answers.add(JSON.stringify([answer.status, await answer.text(), same([...answer.headers])]));
      answers.add(JSON.stringify([status, body, same(Object.entries(headers))]));
    }
    // One answer of each door.
    expect(answers.size).toBe(2);
  });
});

describe('words of a client in the log', () => {
  const hostile = 'a\n{"level":60,"msg":"forged"}\r\u001b[2J\u001b]0;x\u0007\u2028\u0085';

  it('never break a line and carry no escape sequence', async () => {
    const rig = await startRig();
    const encodedHostile = encodeURIComponent(hostile);
    await doors(rig, token(claims({ sub: '' }), { kid: hostile, typ: hostile }));
    await doors(rig, token(claims({ tenant: hostile, iss: hostile, aud: hostile }), { alg: hostile }));
    await doors(rig, token(claims({ sub: hostile })));
    await fetch(`${rig.http}${state}`, { headers: { 'x-request-id': 'a"}\u009b', traceparent: '00-\u009b' } });
    await fetch(`${rig.http}/v1/actors/counter/${encodedHostile}/echo`, { method: 'POST' });
    await fetch(`${rig.http}/${encodedHostile}`);
    const client = await connect(rig, { token: token(), protocols: ['fermata.v1'] });
    for (const field of ['id', 'actor', 'actorId', 'method', 'key', 'traceparent'])
      client.send({ type: 'rpc', id: 'h', actor: 'counter', actorId: 'c1', method: 'echo', [field]: hostile });
    client.send({ type: 'auth', token: hostile });
    client.send({ type: hostile });
    expect((await client.rpc('echo', 1))['result']).toBe(1);
    expect(rig.lines.length).toBeGreaterThan(2);
    for (const line of rig.lines) {
      expect(line).toMatch(/^\{[^\n]*\}\n$/);
      expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
      expect(JSON.parse(line)).not.toMatchObject({ msg: 'forged' });
    }
  });
});

describe('an upgrade of another protocol than RFC 6455', () => {
  const ask = (lines: string) =>
    `GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n${lines}Authorization: Bearer ${token()}\r\n\r\n`;
  const key = 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n';

  it.each([
    ['version 8', `Sec-WebSocket-Version: 8\r\n${key}`, 400],
    ['version 0', `Sec-WebSocket-Version: 0\r\n${key}`, 400],
    ['no version', key, 400],
    ['a list of versions', `Sec-WebSocket-Version: 13, 8\r\n${key}`, 400],
    ['no key', 'Sec-WebSocket-Version: 13\r\n', 426],
    ['the keys of Hixie-76', 'Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\nSec-WebSocket-Key2: 12998 5 Y3 1\r\n', 426],
  ])('with %s is refused', async (_what, lines, status) => {
    const rig = await startRig();
    const answer = await firstAnswer(rig.gateway.port, ask(lines));
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    if (status === 400) expect(answer).toMatch(/\r\nSec-WebSocket-Version: 13\r\n/);
    expect(rig.gateway.counts().sockets).toBe(0);
  });
});

describe('a request that could be read in two ways', () => {
  const head = (rest: string) =>
    `POST /v1/actors/counter/c1/echo HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token()}\r\n${rest}`;
  const inner = `POST /v1/actors/counter/c1/smuggled HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token()}\r\nContent-Length: 0\r\n\r\n`;

  const probes: [what: string, bytes: string][] = [
    ['length and chunks', head(`Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`)],
    ['chunks and length', head(`Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${inner}`)],
    ['two lengths', head(`Content-Length: 0\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`)],
    ['a list of lengths', head(`Content-Length: 0, ${inner.length}\r\n\r\n${inner}`)],
    ['a signed length', head(`Content-Length: +0\r\n\r\n${inner}`)],
    ['a length in hexadecimal', head(`Content-Length: 0x0\r\n\r\n${inner}`)],
    ['a folded header', head(`X-A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n${inner}`)],
    ['a space before the colon', head(`Content-Length : 0\r\n\r\n${inner}`)],
    ['a tab before the name', head(`\tTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`)],
    ['two kinds of chunks', head(`Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${inner}`)],
    ['chunks of another name', head(`Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${inner}`)],
    ['a bad size of a chunk', head(`Transfer-Encoding: chunked\r\n\r\nzz\r\n${inner}`)],
    ['lines that end with LF', head(`Content-Length: 0\n\n${inner}`)],
    ['a NUL', head(`X-A: \0b\r\nContent-Length: 0\r\n\r\n${inner}`)],
    ['no host', head(`Content-Length: 0\r\n\r\n${inner}`).replace('Host: a\r\n', '')],
    ['HTTP/1.0', head(`Content-Length: 0\r\n\r\n${inner}`).replace('HTTP/1.1', 'HTTP/1.0')],
  ];

  it('never runs what is hidden in it', async () => {
    const rig = await startRig();
    // Some are read as headers that have not ended, and cut off when their time is over: all at once, for that reason.
    const answers = await Promise.all(probes.map(async ([what, bytes]) => [what, await raw(rig, bytes)] as const));
    expect(rig.shards.calls.map((call) => call[5])).not.toContain('smuggled');
    expect(answers.filter(([, answer]) => answer.includes('HTTP/1.1 200'))).toEqual([]);
    expect(answers).toHaveLength(16);
  });
});

/** The first bytes that come back, whatever they are. */
function firstAnswer(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp(port, '127.0.0.1', () => socket.write(text));
    socket.on('error', reject);
    socket.once('data', (data) => {
      socket.destroy();
      resolve(data.toString('latin1'));
    });
  });
}
