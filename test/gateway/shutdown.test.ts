import { connect as connectTcp } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { connect, nothing, startRig, stopRigs, until, upgrade } from './rig.ts';
import { token } from './tokens.ts';

afterEach(stopRigs);

const bearer = { authorization: `Bearer ${token()}` };

describe('draining', () => {
  it('refuses new calls and upgrades, and still answers what is in flight', async () => {
    const rig = await startRig();
    const client = await connect(rig, { token: token(), protocols: ['fermata.v1'] });
    const held = client.rpc('hold');
    await until(() => rig.shards.held.length === 1);
    rig.phase.set('draining');
    const refusal = { code: 'DRAINING', outcome: 'rejected', retryable: true, retryAfterMs: 1000 };
    expect(await client.rpc('echo')).toMatchObject(refusal);
    client.send({ type: 'state:sub', actor: 'counter', actorId: 'c1' });
    expect(await client.next('error')).toMatchObject({ code: 'DRAINING', re: { type: 'state:sub' } });
    expect(await upgrade(rig, { token: token() })).toMatchObject({ status: 503 });
    const http = await fetch(`${rig.http}/v1/actors/counter/c1/echo`, { method: 'POST', headers: bearer });
    expect([http.status, http.headers.get('connection')]).toEqual([503, 'close']);
    expect(await http.json()).toMatchObject({ error: refusal });
    expect((await fetch(`${rig.http}/ready`)).status).toBe(503);
    expect((await fetch(`${rig.http}/health`)).status).toBe(200);
    rig.shards.release();
    expect(await held).toMatchObject({ result: 'released' });
  });

  it('refuses a request whose body arrives when the process is on its way down', async () => {
    const rig = await startRig();
    const socket = connectTcp(rig.gateway.port, '127.0.0.1');
    const ended = new Promise<string>((resolve) => {
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk.toString();
      });
      socket.on('close', () => resolve(text));
    });
    const head = `POST /v1/actors/counter/c1/echo HTTP/1.1\r\nHost: x\r\nAuthorization: ${bearer.authorization}\r\n`;
    socket.write(`${head}Content-Length: 2\r\n\r\n1`);
    await (await fetch(`${rig.http}/health`)).text();
    rig.phase.set('draining');
    socket.write('2');
    expect(await ended).toMatch(/^HTTP\/1.1 503 [\s\S]*"code":"DRAINING"/);
    expect(rig.shards.seen).toHaveLength(0);
  });

  it('is told to every client, each with its own time to come back', async () => {
    const rig = await startRig();
    const clients = await Promise.all(
      Array.from({ length: 20 }, (_, n) => connect(rig, { token: token(), protocols: n % 2 ? ['fermata.v1'] : [] })),
    );
    rig.gateway.announceShutdown(10_000);
    const waits = new Set<unknown>();
    for (const client of clients) {
      const message = await client.next('server:shutdown');
      expect(message).toEqual({ type: 'server:shutdown', reason: 'deployment', reconnectInMs: expect.any(Number) });
      waits.add(message['reconnectInMs']);
    }
    expect(waits.size).toBeGreaterThan(10);
    for (const wait of waits) expect(wait).toBeLessThan(10_000);
  });
});

/** More than the kernel takes for a client that does not read. */
const large = JSON.stringify('x'.repeat(9_000_000));

describe('the end', () => {
  it('settles when the last call is answered, at once without any', async () => {
    const rig = await startRig();
    await rig.gateway.settled();
    const client = await connect(rig, { token: token() });
    const held = client.rpc('hold');
    await until(() => rig.shards.held.length === 1);
    let settled = false;
    const both = Promise.all([rig.gateway.settled(), rig.gateway.settled()]).then(() => {
      settled = true;
    });
    await client.rpc('echo');
    expect(settled).toBe(false);
    rig.shards.release();
    await both;
    await held;
  });

  it('delivers large replies to a socket that reads slowly before it closes with 1012', async () => {
    const rig = await startRig();
    const client = await connect(rig, { token: token() });
    const held = client.rpc('hold');
    await until(() => rig.shards.held.length === 1);
    client.socket.pause();
    const settled = rig.gateway.settled();
    rig.shards.release(large);
    await settled;
    const closed = rig.gateway.close(5000);
    // Longer than a close without waiting would take.
    await delay(200);
    client.socket.resume();
    expect(JSON.stringify((await held)['result'])).toHaveLength(large.length);
    expect(await client.closed).toBe(1012);
    await closed;
  });

  it('delivers large replies over HTTP to a client that reads slowly', async () => {
    const rig = await startRig();
    const socket = connectTcp(rig.gateway.port, '127.0.0.1');
    socket.write(`POST /v1/actors/counter/c1/hold HTTP/1.1\r\nHost: x\r\nAuthorization: ${bearer.authorization}\r\n`);
    socket.write('Content-Length: 0\r\n\r\n');
    await until(() => rig.shards.held.length === 1);
    socket.pause();
    rig.shards.release(large);
    const closed = rig.gateway.close(5000);
    await delay(200);
    let bytes = 0;
    socket.on('data', (chunk) => {
      bytes += chunk.length;
    });
    socket.on('error', () => {});
    socket.resume();
    await until(() => bytes > large.length);
    await closed;
    socket.destroy();
  });

  it('waits no longer than it may for a client that does not read', async () => {
    const rig = await startRig();
    const client = await connect(rig, { token: token() });
    client.socket.pause();
    for (const _ of [1, 2, 3])
      client.send({ type: 'rpc', id: 'b', actor: 'counter', actorId: 'c', method: 'big', input: 4e6 });
    await until(() => rig.shards.calls.length === 3 && rig.gateway.counts().calls === 0);
    await rig.gateway.close(100);
    expect(rig.gateway.counts().sockets).toBe(0);
    client.socket.resume();
    await client.closed;
  });

  it('takes no new connections after stopListening, keeps open ones, and may be asked twice', async () => {
    const rig = await startRig();
    const client = await connect(rig, { token: token() });
    rig.gateway.stopListening();
    rig.gateway.stopListening();
    await expect(fetch(`${rig.http}/health`)).rejects.toThrow();
    expect((await client.rpc('echo', 1))['result']).toBe(1);
    const [first, second] = [rig.gateway.close(0), rig.gateway.close(0)];
    expect(second).toBe(first);
    await first;
    expect(await client.closed).toBe(1012);
    expect(rig.gateway.counts()).toEqual(nothing);
  });
});

describe('the port', () => {
  it('in use is refused by name, with what to do', async () => {
    const rig = await startRig();
    const again = startRig({ gateway: { port: rig.gateway.port } });
    await expect(again).rejects.toMatchObject({
      message: `cannot listen on 127.0.0.1:${rig.gateway.port}: the port is taken, or the address is not one of this machine`,
      hint: expect.stringContaining('--port'),
    });
  });

  it('is shared by gateways that do not ask for it alone', async () => {
    const first = await startRig({ gateway: { exclusivePort: false } });
    const second = await startRig({ gateway: { exclusivePort: false, port: first.gateway.port } });
    expect(second.gateway.port).toBe(first.gateway.port);
    const clients = await Promise.all(Array.from({ length: 20 }, () => connect(first, { token: token() })));
    expect(first.gateway.counts().sockets + second.gateway.counts().sockets).toBe(20);
    for (const client of clients) client.socket.terminate();
  });

  it('of nobody is refused', async () => {
    await expect(startRig({ gateway: { host: '192.0.2.1' } })).rejects.toThrow(/cannot listen on 192.0.2.1:0/);
  });
});
