import { connect as connectTcp } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, type Rig, startRig, stopRigs } from './rig.ts';
import { token } from './tokens.ts';

let rig: Rig;

beforeAll(async () => {
  rig = await startRig({ limits: { messagesPerSecond: 0, messagesBurst: 0 } });
});

afterAll(stopRigs);

const rpc = { type: 'rpc', id: 'h', actor: 'counter', actorId: 'c1', method: 'echo' };
const names = [
  'constructor',
  '__proto__',
  'toString',
  'prototype',
  'hasOwnProperty',
  '',
  ' ',
  '.',
  '..',
  'a/b',
  'a\nb',
  '\0',
  'é',
];
const wrongTypes: unknown[] = [null, 0, -1, 1e308, true, [], {}, ['x'], { toString: 'x' }];
const deep = (depth: number, open: string, close: string) => open.repeat(depth) + close.repeat(depth);

const texts: string[] = [
  ...names.map((actor) => JSON.stringify({ ...rpc, actor })),
  ...names.map((method) => JSON.stringify({ ...rpc, method })),
  ...names.map((actorId) => JSON.stringify({ ...rpc, actorId })),
  ...names.map((type) => JSON.stringify({ ...rpc, type })),
  ...wrongTypes.flatMap((value) =>
    ['id', 'actor', 'actorId', 'method', 'key', 'deadlineMs'].map((field) =>
      JSON.stringify({ ...rpc, [field]: value }),
    ),
  ),
  ...wrongTypes.map((token) => JSON.stringify({ type: 'auth', token })),
  ...['state:sub', 'event:sub', 'state:unsub', 'event:unsub'].flatMap((type) =>
    wrongTypes.map((actor) => JSON.stringify({ type, actor, actorId: actor })),
  ),
  ...wrongTypes.map((resumeToken) => JSON.stringify({ type: 'hello', resumeToken })),
  ...[...names, '0.x', `7.${'A'.repeat(32)}`, 'x'.repeat(60_000)].map((resumeToken) =>
    JSON.stringify({ type: 'hello', resumeToken }),
  ),
  ...wrongTypes.flatMap((value) => [
    JSON.stringify({ ...rpc, key: 'my-client:1', ack: value }),
    JSON.stringify({ type: 'state:sub', actor: 'counter', actorId: 'c1', since: value }),
    JSON.stringify({ type: 'event:sub', actor: 'counter', actorId: 'c1', since: { epoch: value, seq: value } }),
  ]),
  JSON.stringify({ type: 'event:sub', actor: 'counter', actorId: 'c1', since: { epoch: '"]\n', seq: 1 } }),
  JSON.stringify({ ...rpc, actorId: '\ud800' }),
  JSON.stringify({ ...rpc, key: '\udfff' }),
  JSON.stringify({ ...rpc, id: '\ud800' }),
  JSON.stringify({ ...rpc, input: '\ud800' }),
  '{"type":"rpc","id":"\\ud800","actorId":"\\udc00\\ud800","actor":"counter","method":"echo"}',
  deep(20_000, '[', ']'),
  deep(20_000, '{"a":', '}').replace(':}', ':1}'),
  '['.repeat(60_000),
  ']'.repeat(60_000),
  '{'.repeat(60_000),
  '"'.repeat(60_001),
  '\\'.repeat(60_000),
  `{"type":"rpc","id":"d","input":${deep(20_000, '[', ']')}}`,
  `{"type":"rpc","id":"d","input":${'['.repeat(20_000)}`,
  `{"type":"rpc","id":${deep(100, '[', ']')}}`,
  `{"type":"state:sub","actor":${deep(100, '{"a":', '}').replace(':}', ':1}')}}`,
  `{"type":"rpc","id":"n","actor":"counter","actorId":"c1","method":"echo","input":1e${'9'.repeat(50_000)}}`,
  `{"type":"rpc","id":"n","actor":"counter","actorId":"c1","method":"echo","input":${'9'.repeat(60_000)}}`,
  `{"__proto__":{"type":"rpc"},"id":"x"}`,
  `{"type":"rpc","id":"x","__proto__":null}`,
  `{"type":"rpc","id":"x","input":{"\\u005f\\u005fproto\\u005f\\u005f":{"polluted":1}}}`,
  `{"type":"rpc","type":"rpc","id":"x","id":"y"}`,
  `{"type":"ping","type":{"a":1}}`,
  JSON.stringify({ ...rpc, actorId: 'x'.repeat(10_000) }),
  JSON.stringify({ ...rpc, key: 'x'.repeat(10_000) }),
  JSON.stringify({ ...rpc, id: 'x'.repeat(10_000) }),
  JSON.stringify({ ...rpc, input: Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [`k${n}`, n])) }),
  JSON.stringify({ ...rpc, deadlineMs: 1e300 }),
  '',
  ' ',
  'undefined',
  'NaN',
  'null',
  'true',
  '12',
  '"text"',
  '[]',
  '[{}]',
  '{}',
  '\ufeff{}',
  '{"type":"rpc"',
  '{"type":"rpc",}',
  "{'type':'rpc'}",
  '{"a":1}{"b":2}',
  '\u0000',
  'x'.repeat(65_537),
];

/** Frames that no client library sends: RSV bits, unknown opcodes, bad masks, torn UTF-8, endless control frames. */
const raws: number[][] = [
  [0xc1, 0x80, 0, 0, 0, 0],
  [0x83, 0x80, 0, 0, 0, 0],
  [0x81, 0x02, 0x7b, 0x7d],
  [0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe],
  [0x80, 0x82, 0, 0, 0, 0, 0x7b, 0x7d],
  [0x01, 0x81, 0, 0, 0, 0, 0x7b, 0x81, 0x81, 0, 0, 0, 0, 0x7d],
  [0x89, 0xfe, 0x01, 0x00, 0, 0, 0, 0],
  [0x88, 0x81, 0, 0, 0, 0, 0x03],
  [0x88, 0x82, 0, 0, 0, 0, 0x00, 0x01],
  [0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
  [0x82, 0x82, 0, 0, 0, 0, 0x7b, 0x7d],
];

describe(`${texts.length} hostile frames`, () => {
  it('are more than a hundred', () => {
    expect(texts.length).toBeGreaterThan(100);
  });

  it('get their answer or their close, and a good call on a new connection works after each', async () => {
    for (const protocols of [[], ['fermata.v1']]) {
      for (const text of texts) {
        const client = await connect(rig, { token: token(), protocols });
        client.send(text);
        // The frame was judged when the call after it is answered, or when the connection is gone.
        const after = client.rpc('echo', 'alive').catch(() => undefined);
        const end = await Promise.race([client.closed, after]);
        if (typeof end === 'number') expect([1006, 1009, 4400]).toContain(end);
        else expect(end).toMatchObject({ result: 'alive' });
        client.socket.terminate();
      }
    }
    const good = await connect(rig, { token: token() });
    expect((await good.rpc('echo', { fine: true }))['result']).toEqual({ fine: true });
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    await expect.poll(() => rig.gateway.counts()).toMatchObject({ sockets: 1, calls: 0 });
  }, 60_000);

  it('an upgrade that asks for the connection to be closed is refused, and leaves no socket behind', async () => {
    const answers = await Promise.all(
      ['close', 'other', 'keep-alive', 'close, Upgrade', 'upgrade'].map(
        (connection) =>
          new Promise<string>((resolve, reject) => {
            const socket = connectTcp(rig.gateway.port, '127.0.0.1');
            socket.on('error', reject);
            socket.on('data', (data) => {
              socket.destroy();
              resolve(`${connection}: ${data.toString('latin1').slice(9, 12)}`);
            });
            const fields = { host: 'a', upgrade: 'websocket', connection, authorization: `Bearer ${token()}` };
            const key = { 'sec-websocket-version': 13, 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' };
            const lines = Object.entries({ ...fields, ...key }).map(([name, value]) => `${name}: ${value}\r\n`);
            socket.write(`GET /ws HTTP/1.1\r\n${lines.join('')}\r\n`);
          }),
      ),
    );
    expect(answers).toEqual(['close: 400', 'other: 400', 'keep-alive: 400', 'close, Upgrade: 101', 'upgrade: 101']);
    await expect.poll(() => rig.gateway.counts().sockets).toBeLessThanOrEqual(1);
  });

  it('below the protocol end the connection and nothing else', async () => {
    for (const bytes of raws) {
      await new Promise<void>((resolve, reject) => {
        const socket = connectTcp(rig.gateway.port, '127.0.0.1');
        socket.on('error', reject);
        socket.on('close', () => resolve());
        socket.write(
          'GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
            `Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: Bearer ${token()}\r\n\r\n`,
        );
        socket.once('data', () => {
          socket.write(Buffer.from(bytes));
          socket.end();
        });
        socket.resume();
      });
    }
    const good = await connect(rig, { token: token() });
    expect((await good.rpc('echo', 1))['result']).toBe(1);
  });
});
