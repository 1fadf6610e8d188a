import { afterEach, describe, expect, it } from 'vitest';
import { inboundOp } from '../../src/protocol/envelope.ts';
import { FakeRemote } from './fake-remote.ts';
import { post } from './requests.ts';
import { connect, type Rig, startRig, until } from './rig.ts';
import { open as openStream, openNumbered, stopReaders } from './stream-readers.ts';
import { claims, token } from './tokens.ts';

afterEach(stopReaders);

const additions = { token: token(), protocols: ['fermata.v1'] };
const { open, end, call, present, subscribe } = inboundOp;
const held = { type: 'rpc', actor: 'counter', actorId: 'c1', method: 'hold' };

async function start(): Promise<{ rig: Rig; remote: FakeRemote; slot: number }> {
  const remote = new FakeRemote(8);
  return { rig: await startRig({ link: remote }), remote, slot: remote.place('acme') };
}

describe('a gateway whose shards are slots of other processes', () => {
  it('tells nobody anything before there is something to tell', async () => {
    const { rig, remote } = await start();
    await connect(rig, additions);
    expect(remote.frames).toEqual([]);
  });

  it('tells a newcomer of the sessions that the slot knew and of their subscriptions, and that these are all', async () => {
    const { rig, remote, slot } = await start();
    const [there, lost, gone] = [
      await connect(rig, additions),
      await connect(rig, additions),
      await connect(rig, additions),
    ];
    const silent = await connect(rig, additions);
    const other = await connect(rig, { ...additions, token: token(claims({ tenant: otherTenant(remote) })) });
    for (const client of [there, lost, gone, other]) {
      client.send({ type: 'state:sub', actor: 'counter', actorId: 'c1' });
      await client.next('state:snapshot');
    }
    there.send({ type: 'event:sub', actor: 'counter', actorId: 'c1', since: { epoch: 'e', seq: 4 } });
    await until(() => remote.ops(subscribe).length === 5);
    lost.socket.terminate();
    gone.socket.close();
    await until(() => rig.gateway.counts().sockets === 3 && rig.gateway.counts().detached === 1);
    remote.turnover(slot);
    expect(remote.presented).toEqual([
      [open, 1],
      [subscribe, 1, 'counter', 'c1', 'state'],
      [subscribe, 1, 'counter', 'c1', 'event'],
      [open, 2],
      [present, 0, [1, 2]],
    ]);
    // Once more, to the next one; who came and went meanwhile is told as it is.
    await silent.rpc('echo');
    rig.clock.monotonicSkewMs = 60_001;
    await until(() => remote.ops(end).length === 2);
    expect(remote.ops(end)).toEqual([
      [end, 3],
      [end, 2],
    ]);
    remote.turnover(slot);
    expect(remote.presented.filter((envelope) => (envelope as number[])[0] !== subscribe)).toEqual([
      [open, 1],
      [open, 4],
      [present, 0, [1, 4]],
    ]);
    // What it was told is not told again.
    const opened = remote.ops(open).length;
    await there.rpc('echo');
    expect(remote.ops(open)).toHaveLength(opened);
  });

  it('says nothing to a newcomer of a session that has ended while nobody served', async () => {
    const { rig, remote, slot } = await start();
    const client = await connect(rig, additions);
    await client.rpc('echo');
    remote.paused = true;
    client.socket.close();
    await until(() => remote.waiting.length === 1);
    remote.turnover(slot);
    expect(remote.presented).toEqual([[present, 0, []]]);
    expect(JSON.parse(remote.waiting[0]!.frame)).toEqual([[end, 1]]);
  });

  it('leaves calls under way to the newcomer, those over HTTP too, whose callers it is told of', async () => {
    const { rig, remote, slot } = await start();
    const client = await connect(rig, additions);
    await client.rpc('echo');
    await client.next('rpc:result');
    await post(rig, '/v1/actors/counter/c1/echo', '1');
    remote.paused = true;
    client.send({ ...held, id: 'h' });
    const answer = post(rig, '/v1/actors/counter/c1/hold', '1');
    await until(() => rig.gateway.counts().calls === 2);
    remote.turnover(slot);
    expect(remote.presented).toEqual([
      [open, 1],
      [open, 2],
      [present, 0, [1, 2]],
    ]);
    expect(rig.gateway.counts().calls).toBe(2);
    remote.resume();
    remote.release('"from the newcomer"');
    expect(await client.next('rpc:result')).toMatchObject({ id: 'h', result: 'from the newcomer' });
    expect(await (await answer).json()).toEqual({ result: 'from the newcomer' });
    expect(rig.gateway.counts().calls).toBe(0);
  });

  it('takes the topics of the former one for nothing: nobody is in them until they join anew', async () => {
    const { rig, remote, slot } = await start();
    const client = await connect(rig, additions);
    client.send({ type: 'event:sub', actor: 'counter', actorId: 'c1' });
    await until(() => rig.gateway.counts().topics === 1);
    const say = (text: string) => remote.emit(slot, (out) => out.add('P', 5, 0, 0, JSON.stringify({ type: text })));
    say('before');
    remote.turnover(slot);
    expect(rig.gateway.counts().topics).toBe(0);
    say('of another topic with this number');
    await until(() => rig.gateway.counts().topics === 1);
    say('after');
    await client.next('after');
    expect(client.messages.map(({ type }) => type)).toEqual(['welcome', 'before', 'after']);
  });

  it('ends event streams, of which the newcomer hears nothing', async () => {
    const remote = new FakeRemote(1);
    const rig = await startRig({ link: remote });
    const reader = await openNumbered(rig);
    remote.turnover(0);
    expect(await reader.ended).toBe(true);
    expect(reader.text).toMatch(/: interrupted\n\n$/);
    expect(remote.presented).toEqual([[present, 0, []]]);
    const again = await openStream(rig, { lastEventId: 'e1:3' });
    expect(again.status).toBe(200);
    expect(remote.ops(subscribe).at(-1)!.slice(5)).toEqual(['e1', 3]);
    expect(rig.gateway.counts().sockets).toBe(1);
  });

  it('ends event streams that waited for it, behind what waits of them in the queue', async () => {
    const { rig, remote, slot } = await start();
    remote.paused = true;
    const refused = openStream(rig);
    await until(() => remote.waiting.length === 1);
    remote.turnover(slot);
    expect((await refused).status).toBe(503);
    expect(remote.presented).toEqual([[present, 0, []]]);
    await until(() => remote.waiting.length === 2);
    remote.resume();
    expect(remote.seen.map(({ envelope }) => envelope.slice(0, 2))).toEqual([
      [open, 1],
      [subscribe, 1],
      [end, 1],
    ]);
  });

  it('hears of the end of callers over HTTP whose calls its queue still holds', async () => {
    const { rig, remote, slot } = await start();
    remote.paused = true;
    const answer = post(rig, '/v1/actors/counter/c1/echo', '1');
    await until(() => remote.waiting.length === 1);
    remote.turnover(slot);
    remote.resume();
    expect((await answer).status).toBe(200);
    // Its session is not among those that the next one is told of.
    remote.turnover(slot);
    expect(remote.presented).toEqual([[present, 0, []]]);
    rig.clock.skewMs = 700_000;
    await until(() => remote.ops(end).length === 1);
    expect(rig.gateway.counts()).toMatchObject({ httpPrincipals: 0, tenants: 0 });
  });
});

describe('answers that were lost on the way', () => {
  it('end what waited for them as unknown, over both doors, and nothing else', async () => {
    const { rig, remote, slot } = await start();
    const client = await connect(rig, additions);
    const tenant = otherTenant(remote);
    const other = await connect(rig, { ...additions, token: token(claims({ tenant })) });
    for (const each of [client, other]) each.send({ ...held, id: 'h' });
    const overHttp = post(rig, '/v1/actors/counter/c1/hold', '1');
    await until(() => remote.held.length === 3);
    remote.lose(slot);
    expect(await client.next('rpc:result')).toMatchObject({
      id: 'h',
      code: 'UNKNOWN',
      outcome: 'unknown',
      retryable: true,
      retryAfterMs: 500,
    });
    const answer = await overHttp;
    expect([answer.status, await answer.json()]).toMatchObject([504, { error: { code: 'UNKNOWN', retryable: true } }]);
    expect(rig.gateway.counts().calls).toBe(1);
    // What comes all the same reaches nobody.
    remote.release();
    expect(await other.next('rpc:result')).toMatchObject({ result: 'released' });
    remote.turnover(slot);
    expect(remote.presented).toEqual([
      [open, 1],
      [present, 0, [1]],
    ]);
    expect(await client.rpc('echo', 2)).toMatchObject({ result: 2 });
    expect(client.messages.filter(({ type }) => type === 'rpc:result')).toHaveLength(2);
    expect(rig.lines.filter((line) => line.includes('answers were lost on the way'))).toHaveLength(1);
  });

  it('make the next call open its session anew, should it come before the turnover', async () => {
    const { rig, remote, slot } = await start();
    const client = await connect(rig, additions);
    await client.rpc('echo');
    remote.lose(slot);
    await client.rpc('echo');
    expect(remote.seen.map(({ envelope }) => envelope[0])).toEqual([open, call, open, call]);
    expect(rig.gateway.counts().calls).toBe(0);
  });
});

describe('a frame of answers', () => {
  it('that cannot be read costs what is in it, not the gateway', async () => {
    const { rig, remote, slot } = await start();
    const client = await connect(rig, additions);
    client.send({ ...held, id: 'first' });
    client.send({ ...held, id: 'second' });
    await until(() => remote.held.length === 2);
    const [first, second] = remote.held.splice(0);
    remote.emit(slot, (out) => {
      out.add('K', first!.call, 1, 0, '1');
      out.add('E', second!.call, 0, 0, '{broken');
    });
    expect(await client.next('rpc:result')).toMatchObject({ id: 'first', result: 1 });
    expect(await client.rpc('echo', 2)).toMatchObject({ result: 2 });
    expect(rig.lines.some((line) => line.includes('cannot be read'))).toBe(true);
  });
});

/** A tenant of another slot. */
function otherTenant(remote: FakeRemote): string {
  for (let n = 0; ; n += 1) if (remote.place(`t${n}`) !== remote.place('acme')) return `t${n}`;
}
