import { connect as connectTcp } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { inboundOp } from '../../src/protocol/envelope.ts';
import { AppError } from '../../src/protocol/errors.ts';
import { subscriptionRefusal } from '../../src/protocol/messages.ts';
import { raw } from './requests.ts';
import { nothing, type Rig, type RigOptions, startRig, until } from './rig.ts';
import { open, openNumbered, publish, said, stopReaders, tellLast } from './stream-readers.ts';
import { claims, token } from './tokens.ts';

afterEach(stopReaders);

describe('a stream ends', () => {
  const expiring = (s: number): string => token(claims({ exp: Math.floor(Date.now() / 1000) + s }));

  it('when its token expires, with a comment, whole', async () => {
    const rig = await startRig();
    const reader = await open(rig, { token: expiring(600) });
    rig.clock.skewMs = 700_000;
    expect(await reader.ended).toBe(true);
    expect(reader.text).toMatch(/\n\n: token expired\n\n$/);
    expect(rig.gateway.counts()).toEqual(nothing);
    expect(closes(rig)).toEqual({ '4401': 1 });
  });

  it('when its shard dies, so that its client asks for what it missed', async () => {
    const rig = await startRig({ shards: 1 });
    const reader = await openNumbered(rig);
    rig.gateway.shardLost(0, -1);
    expect(await reader.ended).toBe(true);
    expect(reader.text).toMatch(/: interrupted\n\n$/);
    const waiting = open(rig, { lastEventId: 'e1:3' });
    await until(() => rig.gateway.counts().sockets === 1);
    rig.gateway.shardBack(0);
    expect((await waiting).status).toBe(200);
    expect(rig.shards.ops(inboundOp.subscribe).at(-1)!.slice(5)).toEqual(['e1', 3]);
  });

  it('when its actor cannot be had any more, with the reason', async () => {
    const rig = await startRig();
    const reader = await open(rig);
    const error = new AppError('QUARANTINED', 'closed off').toBody();
    tellLast(rig, said('last words'), subscriptionRefusal('event:sub', 'counter', 'c1', error), said('never'));
    expect(await reader.ended).toBe(true);
    expect(reader.events.slice(1)).toMatchObject([
      { event: 'said', data: 'last words' },
      { event: 'fermata:error', data: { code: 'QUARANTINED', message: 'closed off', outcome: 'rejected' } },
    ]);
  });

  it('when the process stops: with a time to come back, and after the last events', async () => {
    const rig = await startRig();
    const reader = await openNumbered(rig);
    rig.phase.set('draining');
    rig.gateway.announceShutdown(1);
    publish(rig, said('of a call that was accepted', 4));
    await rig.gateway.close(1000);
    expect(await reader.ended).toBe(true);
    expect(reader.text).toMatch(
      /retry: 0\n: deployment\n\nevent: said\nid: e1:4\ndata: "of a call that was accepted"\n\n: restart\n\n$/,
    );
  });

  it('that nobody reads is closed past socketBufferBytesMax, whatever the size of its events', async () => {
    for (const chars of [100, 300_000]) {
      const limits: RigOptions['limits'] = { socketBufferBytesMax: 128 * 1024 };
      const rig = await startRig({ limits });
      const socket = connectTcp(rig.gateway.port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write(`GET /v1/actors/counter/c1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token()}\r\n\r\n`);
      socket.pause();
      await until(() => rig.gateway.counts().topics === 1);
      const text = said('x'.repeat(chars));
      let told = 0;
      await until(() => {
        for (let n = 0; n < 200_000 / chars; n += 1) publish(rig, text);
        told += 200_000;
        return rig.gateway.counts().sockets === 0;
      });
      // What the kernel takes on both sides, and not more.
      expect(told).toBeLessThan(64 * 1024 * 1024);
      expect(closes(rig)).toEqual({ '4408': 1 });
      socket.destroy();
    }
  });

  it('and one that is read slowly gets every byte in order', async () => {
    const rig = await startRig({ limits: { socketBufferBytesMax: 64 * 1024 * 1024 } });
    const reader = await open(rig);
    reader.incoming.pause();
    const count = 120;
    for (let n = 0; n < count; n += 1) publish(rig, said(`${n}:${'ü😀'.repeat(30_000)}`));
    await until(() => rig.gateway.counts().sockets === 1);
    reader.incoming.resume();
    await until(() => reader.text.includes(`"${count - 1}:`) && reader.text.endsWith('\n\n'));
    const payloads = reader.events.slice(1).map(({ data }) => data as string);
    expect(payloads.map((payload) => Number(payload.split(':')[0]))).toEqual(
      Array.from({ length: count }, (_, n) => n),
    );
    expect(new Set(payloads.map((payload) => payload.length))).toEqual(new Set([90_002, 90_003, 90_004]));
    expect(closes(rig)).toEqual({});
  });

  it('by leaving before the shard has answered, and harms nobody', async () => {
    const rig = await startRig();
    for (let n = 0; n < 50; n += 1) {
      const socket = connectTcp(rig.gateway.port, '127.0.0.1', () => {
        socket.write(
          `GET /v1/actors/counter/c1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token()}\r\n\r\n`,
          () => socket.resetAndDestroy(),
        );
      });
      socket.on('error', () => undefined);
    }
    expect((await open(rig)).status).toBe(200);
    await until(() => rig.gateway.counts().sockets === 1);
    expect(await raw(rig, 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).toMatch(/ 200 OK/);
  });
});

/** Sockets that were closed, by code. */
function closes(rig: Rig): Record<string, number> {
  const found = rig.gateway.samples().find(({ name }) => name === 'fermata_socket_closes_total')!;
  return Object.fromEntries(
    found.values.filter(({ value }) => value > 0).map(({ labels, value }) => [labels['code'], value]),
  );
}
