import { afterEach, describe, expect, it } from 'vitest';
import { EventFrames } from '../../src/gateway/event-frames.ts';
import { EventStream, type EventStreamParts } from '../../src/gateway/event-stream.ts';
import type { Exchange } from '../../src/gateway/exchange.ts';
import { inboundOp } from '../../src/protocol/envelope.ts';
import { AppError } from '../../src/protocol/errors.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { eventMessage, eventPosition, subscriptionRefusal } from '../../src/protocol/messages.ts';
import { expectSecurityHeaders } from './requests.ts';
import { connect, nothing, type Rig, startRig, until, upgrade } from './rig.ts';
import { head, open, openNumbered, publish, said, stopReaders, tellLast, topic } from './stream-readers.ts';
import { token } from './tokens.ts';

afterEach(stopReaders);

describe('a stream of events', () => {
  it('has a session of its own, begins when its shard has joined it, and names its client', async () => {
    const rig = await startRig();
    const reader = await open(rig);
    expect([reader.status, reader.headers['content-type']]).toEqual([200, 'text/event-stream']);
    expect(reader.headers['x-accel-buffering']).toBe('no');
    expectSecurityHeaders(new Headers(reader.headers as Record<string, string>));
    const [opened, subscribed] = rig.shards.seen.map(({ envelope }) => envelope);
    expect(opened).toMatchObject([
      inboundOp.open,
      1,
      { kind: 'sse', additions: true, tenant: 'acme', userId: 'user-1' },
    ]);
    expect(subscribed).toEqual([inboundOp.subscribe, 1, 'counter', 'c1', 'event']);
    const { clientId, sessionId } = (opened as unknown as [0, 1, { clientId: string; sessionId: string }])[2];
    expect(sessionId).not.toBe('');
    expect(await reader.next()).toEqual({ event: 'fermata:open', data: { clientId }, id: '' });
    expect(reader.text).toMatch(/^retry: [12]\d{3}\n/);
    expect(rig.gateway.counts()).toMatchObject({ sockets: 1, topics: 1 });
    reader.close();
    await until(() => rig.gateway.counts().sockets === 0);
    expect(rig.gateway.counts()).toEqual(nothing);
    await until(() => rig.shards.ops(inboundOp.end).length === 1);
  });

  it('tells events by name, without ids when they are not numbered', async () => {
    const rig = await startRig();
    const reader = await open(rig);
    publish(rig, said({ text: 'a\n\nb' }), said('ü😀'), eventMessage(head, 'cleared', '', 0));
    await reader.next('cleared');
    expect(reader.text.slice(reader.text.indexOf('event: said'))).toBe(
      'event: said\ndata: {"text":"a\\n\\nb"}\n\nevent: said\ndata: "ü😀"\n\nevent: cleared\ndata: null\n\n',
    );
  });

  it('gives the place with the epoch, drops what was told before, and hands a place back to the shard', async () => {
    const rig = await startRig();
    const reader = await openNumbered(rig);
    publish(rig, said('old', 3), said('new', 4));
    expect(await reader.next('said')).toEqual({ event: 'said', data: 'new', id: 'e1:4' });
    reader.close();
    const again = await open(rig, { lastEventId: 'e1:4' });
    expect(rig.shards.ops(inboundOp.subscribe).at(-1)!.slice(2)).toEqual(['counter', 'c1', 'event', 'e1', 4]);
    tellLast(rig, eventPosition(head, 'e1', 4, false), said('missed', 5));
    expect(await again.next('said')).toEqual({ event: 'said', data: 'missed', id: 'e1:5' });
    expect(again.text).not.toContain('fermata:gap');
  });

  it('gives the place before the first event', async () => {
    const reader = await openNumbered(await startRig());
    await until(() => reader.lastEventId === 'e1:3');
    expect(reader.events.map(({ event }) => event)).toEqual(['fermata:open']);
  });

  it.each([
    ['are not kept any more', 'e1:1', eventPosition(head, 'e1', 3, true), 'e1:3'],
    ['cannot be known, because the place is of another epoch', 'e0:9', eventPosition(head, 'e1', 3, false), 'e1:3'],
    ['were never made', 'e1:900', eventPosition(head, 'e1', 3, true), 'e1:3'],
    ['are not numbered any more', 'e1:1', undefined, ''],
  ])('tells of a gap when missed events %s', async (_why, lastEventId, position, id) => {
    const rig = await startRig();
    const reader = await open(rig, { lastEventId });
    if (position !== undefined) tellLast(rig, position);
    publish(rig, position === undefined ? said('next') : said('next', 4));
    expect(await reader.next('fermata:gap')).toEqual({ event: 'fermata:gap', data: {}, id });
    expect(await reader.next()).toMatchObject({ event: 'said', data: 'next' });
    publish(rig, position === undefined ? said('last') : said('last', 5));
    await reader.next('said');
    expect(reader.events.filter(({ event }) => event === 'fermata:gap')).toHaveLength(1);
  });

  it('tells the state as well when it is asked to', async () => {
    const rig = await startRig();
    const reader = await open(rig, { query: '?state=1' });
    expect(rig.shards.ops(inboundOp.subscribe).map((envelope) => envelope[4])).toEqual(['state', 'event']);
    expect(await reader.next('fermata:state')).toMatchObject({ data: { state: { count: 3 } } });
    const patches = [{ op: 'replace', path: '/count', value: 4 }];
    publish(
      rig,
      JSON.stringify({ type: 'state:patch', actor: 'counter', actorId: 'c1', patches, epoch: 'e1', seq: 8 }),
    );
    expect(await reader.next()).toEqual({ event: 'fermata:patch', data: { epoch: 'e1', seq: 8, patches }, id: '' });
    const error = new AppError('UNKNOWN_ROUTE', 'Actor counter declares no events').toBody();
    tellLast(rig, subscriptionRefusal('event:sub', 'counter', 'c1', error), said('still here'));
    expect(await reader.next('said')).toMatchObject({ data: 'still here' });
  });

  it('is served in a topic with many sockets, in order and once', async () => {
    const rig = await startRig();
    const reader = await open(rig);
    const clients = await Promise.all(Array.from({ length: 20 }, () => connect(rig, { token: token() })));
    for (const client of clients) client.send({ type: 'event:sub', actor: 'counter', actorId: 'c1' });
    await until(() => rig.shards.ops(inboundOp.subscribe).length === 21);
    for (const client of clients) await client.rpc('echo');
    rig.shards.emit(0, (out) => {
      out.add('M', 1, 0, 0, said(1));
      out.add('P', topic, 0, 0, said(2));
      out.add('M', 1, 0, 0, said(3));
    });
    await until(() => reader.events.length === 4);
    expect(reader.events.slice(1).map(({ data }) => data)).toEqual([1, 2, 3]);
    for (const client of clients) expect((await client.next('event'))['payload']).toBe(2);
  });
});

it('a stream that has nothing to tell gives a sign of life every 15 seconds, and the comment is none of its events', () => {
  const written: string[] = [];
  const response = {
    onWritable: () => undefined,
    cork: (act: () => void) => act(),
    write: (text: Buffer) => written.push(text.toString()) > 0,
  };
  const stream = new EventStream({
    exchange: { requestId: '', begin: () => response } as unknown as Exchange,
    session: { info: { clientId: 'me' } },
    frames: new EventFrames(),
    limits: defaultLimits,
    meters: { sent: () => undefined },
  } as unknown as EventStreamParts);
  stream.joinTopic();
  for (let s = 0; s < 14; s += 1) stream.keepAlive();
  expect(written).toEqual([]);
  stream.keepAlive();
  expect(written).toEqual([':\n\n']);
  for (let s = 0; s < 14; s += 1) stream.keepAlive();
  stream.queue(said('hi'));
  stream.flush();
  for (let s = 0; s < 14; s += 1) stream.keepAlive();
  expect(written.slice(1)).toEqual(['event: said\ndata: "hi"\n\n']);
});

describe('before it begins it is refused', () => {
  it.each([
    ['without a token', {}, 401, 'UNAUTHORIZED', { token: '' }],
    ['of another origin', { headers: { origin: 'https://evil.test' } }, 403, 'FORBIDDEN', {}],
    ['with a place that is none', { lastEventId: 'x' }, 400, 'MALFORMED', {}],
    ['with a place of no number', { lastEventId: 'e1:99999999999999999999' }, 400, 'MALFORMED', {}],
    ['with an unknown wish', { query: '?state=yes' }, 400, 'MALFORMED', {}],
  ])('%s: no shard hears of it', async (_what, options, status, code, more) => {
    const rig = await startRig();
    const reader = await open(rig, { ...options, ...more });
    expect([reader.status, reader.headers['content-type']]).toEqual([status, 'application/json']);
    expect(JSON.parse(await reader.body())).toMatchObject({ error: { code } });
    expect(rig.shards.seen).toEqual([]);
  });

  it('by its shard, with the same body as every refusal, and leaves nothing behind', async () => {
    const rig = await startRig();
    const reader = await open(rig, {}, 'nobody');
    expect(reader.status).toBe(404);
    expect(JSON.parse(await reader.body())).toEqual({
      error: { code: 'UNKNOWN_ACTOR', message: 'Unknown actor: nobody', outcome: 'rejected', retryable: false },
    });
    expect(rig.gateway.counts()).toEqual(nothing);
    await until(() => rig.shards.ops(inboundOp.end).length === 1);
  });

  it('when the process starts or stops, and by methods that are none of its', async () => {
    const rig = await startRig();
    const url = `${rig.http}/v1/actors/counter/c1/events`;
    const headers = { authorization: `Bearer ${token()}` };
    expect((await fetch(url, { method: 'HEAD', headers })).status).toBe(405);
    expect((await fetch(url, { method: 'PUT', headers })).headers.get('allow')).toBe('GET, POST');
    expect((await fetch(url, { method: 'POST', headers })).status).toBe(404);
    for (const phase of ['starting', 'draining'] as const) {
      rig.phase.set(phase);
      expect((await open(rig)).status).toBe(503);
    }
  });

  it.each([
    ['its shard dies', (rig: Rig) => void rig.gateway.shardLost(0, -1), 'OVERLOADED'],
    ['the process stops', (rig: Rig) => rig.gateway.announceShutdown(1), 'DRAINING'],
  ])('when %s before it has answered', async (_what, happen, code) => {
    const rig = await startRig();
    const waiting = open(rig, {}, 'silent');
    await until(() => rig.shards.ops(inboundOp.subscribe).length === 1);
    happen(rig);
    const reader = await waiting;
    expect([reader.status, reader.headers['retry-after']]).toEqual([503, '1']);
    expect(JSON.parse(await reader.body())).toMatchObject({ error: { code, outcome: 'rejected', retryable: true } });
    expect(rig.gateway.counts()).toEqual(nothing);
  });

  it('past the bound on sockets, which streams and WebSockets share', async () => {
    const rig = await startRig({ limits: { socketsMax: 2 } });
    await open(rig);
    await connect(rig, { token: token() });
    expect((await open(rig)).status).toBe(503);
    expect((await upgrade(rig, { token: token() })).status).toBe(503);
  });
});
