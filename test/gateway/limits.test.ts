import { connect as connectTcp, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { TokenBucket } from '../../src/gateway/rate-limit.ts';
import { connect, type Rig, startRig, stopRigs, until, upgrade } from './rig.ts';
import { claims, token } from './tokens.ts';

const raws: Socket[] = [];

afterEach(async () => {
  for (const socket of raws.splice(0)) socket.destroy();
  await stopRigs();
});

describe('the token bucket', () => {
  it('gives its burst at once and then its rate, and says how long to wait', () => {
    const bucket = new TokenBucket(10, 3, 0);
    expect([bucket.take(0), bucket.take(0), bucket.take(0), bucket.take(0)]).toEqual([true, true, true, false]);
    expect(bucket.waitMs).toBe(100);
    expect([bucket.take(50), bucket.take(100), bucket.take(100)]).toEqual([false, true, false]);
    expect([bucket.take(1e6), bucket.take(1e6), bucket.take(1e6), bucket.take(1e6)]).toEqual([true, true, true, false]);
  });

  it('is off at 0', () => {
    const bucket = new TokenBucket(0, 0, 0);
    for (let n = 0; n < 1000; n += 1) expect(bucket.take(0)).toBe(true);
  });
});

describe('the message rate', () => {
  it('past the burst refuses rpcs with the time to wait, and lets in again after it', async () => {
    const rig = await startRig({ limits: { messagesPerSecond: 5, messagesBurst: 5 } });
    const client = await connect(rig, { token: token(), protocols: ['fermata.v1'] });
    const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => client.rpc('echo', n)));
    const refused = answers.filter((answer) => answer['code'] === 'RATE_LIMITED');
    expect(refused).toHaveLength(5);
    expect(refused[0]).toMatchObject({ outcome: 'rejected', retryable: true, retryAfterMs: expect.any(Number) });
    client.send({ type: 'state:sub', actor: 'counter', actorId: 'c1' });
    expect(await client.next('error')).toMatchObject({ code: 'RATE_LIMITED', re: { type: 'state:sub' } });
    await expect.poll(async () => (await client.rpc('echo', 'again'))['result'], { interval: 300 }).toBe('again');
  });

  it('of a client that goes on and on ends in 4429', async () => {
    const rig = await startRig({ limits: { messagesPerSecond: 5, messagesBurst: 5 } });
    const client = await connect(rig, { token: token() });
    for (let n = 0; n < 100; n += 1)
      client.send({ type: 'rpc', id: `${n}`, actor: 'counter', actorId: 'c', method: 'echo' });
    expect(await client.closed).toBe(4429);
    const other = await connect(rig, { token: token() });
    expect((await other.rpc('echo', 1))['result']).toBe(1);
  });
});

describe('calls in flight', () => {
  const overloaded = { code: 'OVERLOADED', outcome: 'rejected', retryable: true, retryAfterMs: 100 };
  const full = { token: token(), protocols: ['fermata.v1'] };

  it('are bounded per connection, and the bound moves on with each answer', async () => {
    const rig = await startRig({ limits: { connectionCallsMax: 3 } });
    const client = await connect(rig, full);
    const held = [1, 2, 3].map(() => client.rpc('hold'));
    expect(await client.rpc('echo')).toMatchObject(overloaded);
    const other = await connect(rig, full);
    expect(await other.rpc('echo', 1)).toMatchObject({ result: 1 });
    expect(rig.shards.calls).toHaveLength(4);
    rig.shards.release();
    await Promise.all(held);
    expect(await client.rpc('echo', 2)).toMatchObject({ result: 2 });
  });

  it('are bounded per tenant, over sockets and HTTP alike, and other tenants go on', async () => {
    const rig = await startRig({ limits: { connectionCallsMax: 2, tenantCallsMax: 3 } });
    const [a, b] = await Promise.all([connect(rig, full), connect(rig, full)]);
    const held = [a.rpc('hold'), a.rpc('hold'), b.rpc('hold')];
    await until(() => rig.shards.held.length === 3);
    expect(await b.rpc('echo')).toMatchObject({ ...overloaded, error: 'Too many calls in flight' });
    const http = await fetch(`${rig.http}/v1/actors/counter/c1/state`, {
      headers: { authorization: `Bearer ${token()}` },
    });
    expect([http.status, http.headers.get('retry-after')]).toEqual([503, '1']);
    const other = await connect(rig, { token: token(claims({ tenant: 'other' })) });
    expect(await other.rpc('echo', 1)).toMatchObject({ result: 1 });
    rig.shards.release();
    await Promise.all(held);
  });

  it('are bounded per shard', async () => {
    const rig = await startRig({ limits: { connectionCallsMax: 2, tenantCallsMax: 2, shardCallsMax: 2 } });
    const a = await connect(rig, full);
    const held = [a.rpc('hold'), a.rpc('hold')];
    await until(() => rig.shards.held.length === 2);
    const other = await connect(rig, { ...full, token: token(claims({ tenant: 'other' })) });
    expect(await other.rpc('echo')).toMatchObject({ ...overloaded, error: 'The server is busy' });
    rig.shards.release();
    await Promise.all(held);
    expect(rig.gateway.counts().calls).toBe(0);
  });
});

describe('sockets', () => {
  it('are bounded: one more is answered 503 before its token is looked at', async () => {
    const rig = await startRig({ limits: { socketsMax: 2 } });
    const first = await connect(rig, { token: token() });
    await connect(rig, { token: token() });
    const refused = await upgrade(rig, { token: 'x.y.z' });
    expect([refused.status, refused.headers['retry-after'], JSON.parse(refused.body)]).toMatchObject([
      503,
      '5',
      { error: { code: 'OVERLOADED' } },
    ]);
    expect(refused.headers['x-content-type-options']).toBe('nosniff');
    first.socket.close();
    await until(() => rig.gateway.counts().sockets === 1);
    expect((await upgrade(rig, { token: token() })).status).toBe(101);
  });

  it('are no place for compression', async () => {
    const rig = await startRig();
    const answer = await upgrade(rig, {
      token: token(),
      headers: { 'sec-websocket-extensions': 'permessage-deflate' },
    });
    expect([answer.status, answer.headers['sec-websocket-extensions']]).toEqual([101, undefined]);
  });
});

describe('origins', () => {
  it.each([
    ['https://app.example', 101],
    ['https://app.example:8443', 101],
    [undefined, 101],
    ['https://app.example:444', 403],
    ['http://app.example', 403],
    ['https://sub.app.example', 403],
    ['https://app.example.evil', 403],
    ['https://evilapp.example', 403],
    ['HTTPS://APP.EXAMPLE', 403],
    ['https://app.example/', 403],
    ['https://app.example, https://evil.example', 403],
    ['null', 403],
    ['http://localhost', 403],
    ['*', 403],
  ])('match exactly: %s → %i', async (origin, status) => {
    const rig = await startRig({ allowedOrigins: ['https://app.example', 'https://app.example:8443'] });
    const headers: Record<string, string> = origin === undefined ? {} : { origin };
    expect((await upgrade(rig, { token: token(), headers })).status).toBe(status);
  });

  it.each([
    ['http://localhost:5173', 101],
    ['http://127.0.0.1:8080', 101],
    ['http://[::1]:8080', 101],
    ['https://localhost.evil.example', 403],
    ['http://127.0.0.1.evil.example', 403],
    ['null', 403],
  ])('in development are of this machine: %s → %i', async (origin, status) => {
    expect((await upgrade(await startRig({ dev: true }), { headers: { origin } })).status).toBe(status);
  });

  it('without a list none may connect outside development', async () => {
    const headers = { origin: 'http://localhost:5173' };
    expect((await upgrade(await startRig(), { token: token(), headers })).status).toBe(403);
  });
});

/** A connection that says what it is told to and reads only when asked. */
async function slowReader(rig: Rig): Promise<{ socket: Socket; read(): Promise<Buffer> }> {
  const socket = connectTcp(rig.gateway.port, '127.0.0.1');
  raws.push(socket);
  const key = Buffer.alloc(16).toString('base64');
  socket.write(
    `GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
      `Sec-WebSocket-Key: ${key}\r\nAuthorization: Bearer ${token()}\r\n\r\n`,
  );
  const before = rig.gateway.counts().sockets;
  socket.pause();
  await until(() => rig.gateway.counts().sockets === before + 1);
  return {
    socket,
    read: () =>
      new Promise((resolve) => {
        const chunks: Buffer[] = [];
        socket.on('data', (chunk) => chunks.push(chunk));
        socket.on('close', () => resolve(Buffer.concat(chunks)));
        socket.resume();
      }),
  };
}

/** A masked text frame. */
function frame(text: string): Buffer {
  const bytes = Buffer.from(text);
  const head = bytes.length < 126 ? [0x81, 0x80 | bytes.length] : [0x81, 0xfe, bytes.length >> 8, bytes.length & 255];
  return Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), bytes]);
}

const closeFrame4408 = Buffer.from([0x88, 2 + 'too slow'.length, 4408 >> 8, 4408 & 255]);

describe('a client that does not read', () => {
  it('is closed with 4408 after a bounded amount, gets all that came before it, and nothing after', async () => {
    const rig = await startRig({ limits: { messagesPerSecond: 0, messagesBurst: 0 } });
    const slow = await slowReader(rig);
    const healthy = await connect(rig, { token: token() });
    const big = (n: number) =>
      frame(JSON.stringify({ type: 'rpc', id: `b${n}`, actor: 'counter', actorId: 'c', method: 'big', input: 16_384 }));
    let sent = 0;
    while (rig.gateway.counts().sockets === 2 && sent < 2000) {
      for (let n = 0; n < 20; n += 1) slow.socket.write(big(sent++));
      await healthy.rpc('echo', sent);
    }
    expect(rig.gateway.counts().sockets).toBe(1);
    expect(rig.gateway.counts().calls).toBe(0);
    const received = await slow.read();
    const text = received.toString('latin1');
    const answers = [...text.matchAll(/"id":"b(\d+)"/g)].map((match) => Number(match[1]));
    // Every reply up to the cut, in order, without a gap; then the close frame; then nothing.
    expect(answers).toEqual(Array.from({ length: answers.length }, (_, n) => n));
    expect(received.subarray(-12, -8)).toEqual(closeFrame4408);
    expect(received.subarray(-8).toString()).toBe('too slow');
    // What the kernel takes on loopback, plus 1 MiB of ours.
    expect(received.length).toBeLessThan(16 * 1024 * 1024);
    expect((await healthy.rpc('echo', 1))['result']).toBe(1);
  });

  it('and pings all the time is closed with 4408 after a bounded amount', async () => {
    const rig = await startRig();
    const slow = await slowReader(rig);
    // uWebSockets answers each by itself, with the same bytes.
    const ping = Buffer.concat([Buffer.from([0x89, 0x80 | 125, 0, 0, 0, 0]), Buffer.alloc(125)]);
    const pings = Buffer.concat(Array.from({ length: 2000 }, () => ping));
    slow.socket.on('error', () => {});
    for (let sent = 0; rig.gateway.counts().sockets === 1 && sent < 64 * 1024 * 1024; sent += pings.length) {
      slow.socket.write(pings);
      await delay(2);
    }
    expect(rig.gateway.counts().sockets).toBe(0);
    expect((await slow.read()).subarray(-12, -8)).toEqual(closeFrame4408);
  });

  it('of a published topic is closed when more comes at once than uWebSockets takes, and the gateway goes on', async () => {
    const rig = await startRig();
    const readers = await Promise.all(Array.from({ length: 20 }, () => connect(rig, { token: token() })));
    const slow = await slowReader(rig);
    const subscription = { type: 'event:sub', actor: 'counter', actorId: 'c1' };
    slow.socket.write(frame(JSON.stringify(subscription)));
    for (const reader of readers) reader.send(subscription);
    await until(() => rig.shards.ops(3).length === 21);
    await readers[0]!.rpc('echo');
    const text = JSON.stringify({ type: 'event', pad: 'x'.repeat(1024 * 1024) });
    const times = 24;
    rig.shards.emit(0, (out) => {
      for (let n = 0; n < times; n += 1) out.add('P', 5, 0, 0, text);
    });
    await until(() => rig.gateway.counts().sockets < 21);
    // Here not even a close frame finds room.
    expect((await slow.read()).length).toBeLessThan(times * text.length);
    const later = await connect(rig, { token: token() });
    expect((await later.rpc('echo', 1))['result']).toBe(1);
  });

  it('of a published topic is closed with 4408 too, and the other members miss nothing', async () => {
    const rig = await startRig();
    const readers = await Promise.all(Array.from({ length: 20 }, () => connect(rig, { token: token() })));
    const slow = await slowReader(rig);
    slow.socket.write(frame(JSON.stringify({ type: 'event:sub', actor: 'counter', actorId: 'c1' })));
    for (const reader of readers) reader.send({ type: 'event:sub', actor: 'counter', actorId: 'c1' });
    await until(() => rig.shards.ops(3).length === 21);
    for (const reader of readers) await reader.rpc('echo');
    let published = 0;
    while (rig.gateway.counts().sockets === 21 && published < 2000) {
      for (let n = 0; n < 4; n += 1) {
        const text = JSON.stringify({ type: 'event', n: published++, pad: 'x'.repeat(16_384) });
        rig.shards.emit(0, (out) => out.add('P', 5, 0, 0, text));
      }
      await readers[0]!.rpc('echo');
    }
    expect(rig.gateway.counts().sockets).toBe(20);
    const received = await slow.read();
    expect(received.subarray(-12, -8)).toEqual(closeFrame4408);
    for (const reader of readers) {
      await until(() => reader.messages.filter(({ type }) => type === 'event').length === published);
      const numbers = reader.messages.filter(({ type }) => type === 'event').map((message) => message['n']);
      expect(numbers).toEqual(Array.from({ length: published }, (_, n) => n));
    }
  });
});
