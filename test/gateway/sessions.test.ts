import { afterEach, describe, expect, it } from 'vitest';
import { inboundOp } from '../../src/protocol/envelope.ts';
import { comeBack, connect, known, lost, nothing, type Rig, startRig, stopRigs, until } from './rig.ts';
import { claims, token } from './tokens.ts';

afterEach(stopRigs);

const given = token();
const additions = { token: given, protocols: ['fermata.v1'] };
const { open, end, detach, subscribe } = inboundOp;

/** Operations that the shards saw, in order, less those of calls. */
const told = (rig: Rig) =>
  rig.shards.seen.map(({ envelope }) => envelope.slice(0, 2)).filter(([op]) => op !== inboundOp.call);

describe('a lost connection', () => {
  it('is told to the shards as lost, and its client comes back as the same one, under a new number', async () => {
    const rig = await startRig();
    const before = await lost(rig, given);
    const { client, first, welcome } = await comeBack(rig, before.resumeToken, given);
    const { clientId, sessionId } = before;
    expect(welcome).toMatchObject({ clientId, sessionId, resumed: true, heartbeatMs: 30_000, server: 'fermata' });
    expect(first).toMatchObject({ resumed: false });
    expect(first['clientId']).not.toBe(clientId);
    expect(welcome['resumeToken']).not.toBe(before.resumeToken);
    expect(await client.rpc('echo', 5)).toMatchObject({ result: 5 });
    expect(rig.shards.calls.map((call) => call[1])).toEqual([1, 3]);
    expect(told(rig)).toEqual([
      [open, 1],
      [detach, 1],
      [open, 3],
    ]);
    expect(rig.shards.ops(open).map(([, , info]) => (info as { sessionId: string }).sessionId)).toEqual([
      sessionId,
      sessionId,
    ]);
    expect(rig.gateway.counts()).toMatchObject({ sockets: 1, detached: 0, tenants: 1 });
    client.socket.close();
    await until(() => rig.shards.ops(end).length === 1);
    expect(told(rig).at(-1)).toEqual([end, 3]);
    expect(rig.gateway.counts()).toEqual(nothing);
  });

  it('ends its session once when the grace is over, and the token is worth nothing then', async () => {
    const rig = await startRig({ limits: { sessionGraceMs: 30_000 } });
    const before = await lost(rig, given);
    rig.clock.monotonicSkewMs = 29_000;
    const again = await comeBack(rig, before.resumeToken, given);
    expect(again.welcome).toMatchObject({ resumed: true });
    again.client.socket.terminate();
    await until(() => rig.gateway.counts().detached === 1);
    rig.clock.monotonicSkewMs = 29_000 + 30_001;
    await until(() => rig.gateway.counts().detached === 0);
    await until(() => rig.shards.ops(end).length > 0);
    const late = await comeBack(rig, again.welcome['resumeToken'], given);
    expect(late.welcome).toEqual(late.first);
    expect(late.welcome['clientId']).not.toBe(before.clientId);
    expect(told(rig)).toEqual([
      [open, 1],
      [detach, 1],
      [open, 3],
      [detach, 3],
      [end, 3],
    ]);
  });

  it('whose grace is over but was not swept yet has ended all the same', async () => {
    const rig = await startRig();
    const before = await lost(rig, given);
    const client = await connect(rig, additions);
    rig.clock.monotonicSkewMs = 60_000;
    client.send({ type: 'hello', resumeToken: before.resumeToken });
    expect(await client.next('welcome')).toMatchObject({ resumed: false });
    await until(() => rig.shards.ops(end).length === 1);
  });

  it('leaves its subscriptions: nothing of them reaches the next connection', async () => {
    const rig = await startRig();
    const before = await known(rig, given);
    before.client.send({ type: 'state:sub', actor: 'counter', actorId: 'c1' });
    await before.client.next('state:snapshot');
    before.client.socket.terminate();
    await until(() => rig.gateway.counts().detached === 1);
    expect(rig.gateway.counts().topics).toBe(0);
    rig.shards.emit(0, (out) => {
      out.add('M', 1, 0, 0, '{"type":"event"}');
      out.add('T', 0, 0, 0, '1;{"type":"event"}');
      out.add('S', 1, 5, 0, '');
      out.add('P', 5, 0, 0, '{"type":"event"}');
    });
    const { client } = await comeBack(rig, before.resumeToken, given);
    // A busy shard may speak to the lost connection for a while.
    rig.shards.emit(0, (out) => {
      out.add('M', 1, 0, 0, '{"type":"event"}');
      out.add('T', 0, 0, 0, '1;{"type":"event"}');
      out.add('P', 5, 0, 0, '{"type":"event"}');
    });
    await client.rpc('echo');
    expect(client.messages.some(({ type }) => type === 'event')).toBe(false);
    client.send({ type: 'event:sub', actor: 'counter', actorId: 'c1', since: { epoch: 'e', seq: 3 } });
    await until(() => rig.gateway.counts().topics === 1);
    expect(rig.shards.ops(subscribe).at(-1)).toEqual([subscribe, 3, 'counter', 'c1', 'event', 'e', 3]);
  });

  it('of a base client ends its session at once', async () => {
    const rig = await startRig();
    const client = await connect(rig, { token: given });
    await client.rpc('echo');
    client.socket.terminate();
    await until(() => rig.shards.ops(end).length === 1);
    expect(told(rig)).toEqual([
      [open, 1],
      [end, 1],
    ]);
    expect(rig.gateway.counts()).toEqual(nothing);
  });

  it('of a client that reads too slowly is no end either', async () => {
    const rig = await startRig();
    const before = await known(rig, given);
    before.client.socket.pause();
    for (let n = 0; n < 8; n += 1)
      before.client.send({ type: 'rpc', id: `b${n}`, actor: 'counter', actorId: 'c1', method: 'big', input: 4e6 });
    await until(() => rig.gateway.counts().detached === 1);
    before.client.socket.resume();
    expect(await before.client.closed).toBe(4408);
    const { welcome } = await comeBack(rig, before.resumeToken, given);
    expect(welcome).toMatchObject({ clientId: before.clientId, resumed: true });
  });

  it.each([
    [1000, 'ended'],
    [1001, 'ended'],
    [undefined, 'ended'],
    [4000, 'detached'],
    [1011, 'detached'],
  ])('with close code %s leaves a session that is %s', async (code, then) => {
    const rig = await startRig();
    const { client } = await known(rig, given);
    client.socket.close(code);
    await client.closed;
    await until(() => rig.gateway.counts().sockets === 0);
    expect(rig.gateway.counts().detached).toBe(then === 'detached' ? 1 : 0);
    await until(() => told(rig).length === 2);
    expect(told(rig)[1]).toEqual([then === 'detached' ? detach : end, 1]);
  });

  it('because of a token that expired is none that ends the session; one of another subject is', async () => {
    const rig = await startRig();
    const [a, b] = [await known(rig, given), await known(rig, given)];
    b.client.send({ type: 'auth', token: token(claims({ sub: 'user-2' })) });
    expect(await b.client.closed).toBe(4403);
    await until(() => rig.shards.ops(end).length === 1);
    rig.clock.skewMs = 700_000;
    expect(await a.client.closed).toBe(4401);
    expect(rig.gateway.counts()).toMatchObject({ sockets: 0, detached: 1 });
    const fresh = token(claims({ exp: Math.floor(Date.now() / 1000) + 2000 }));
    expect((await comeBack(rig, a.resumeToken, fresh)).welcome).toMatchObject({ resumed: true, clientId: a.clientId });
  });

  it('is waited for by so many sessions at most; the oldest end early', async () => {
    const rig = await startRig({ limits: { detachedSessionsMax: 2 } });
    const [first, second] = [await lost(rig, given), await lost(rig, given)];
    const third = await known(rig, given);
    third.client.socket.terminate();
    await until(() => rig.shards.ops(end).length === 1);
    expect(rig.shards.ops(end)).toEqual([[end, 1]]);
    expect(rig.gateway.counts().detached).toBe(2);
    expect((await comeBack(rig, first.resumeToken, given)).welcome).toMatchObject({ resumed: false });
    for (const { resumeToken } of [second, third])
      expect((await comeBack(rig, resumeToken, given)).welcome).toMatchObject({ resumed: true });
  });
});

describe('a socket that is still there when its client comes back', () => {
  it('is closed with 1000; what it still says is ignored, and its answers reach nobody', async () => {
    const rig = await startRig({ limits: { connectionCallsMax: 1 } });
    const before = await known(rig, given);
    before.client.send({ type: 'state:sub', actor: 'counter', actorId: 'c1' });
    await before.client.next('state:snapshot');
    const hold = { type: 'rpc', id: 'held', actor: 'counter', actorId: 'c1', method: 'hold' };
    before.client.send(hold);
    await until(() => rig.shards.held.length === 1);
    const { client, welcome } = await comeBack(rig, before.resumeToken, given);
    expect(welcome).toMatchObject({ clientId: before.clientId, resumed: true });
    if (before.client.socket.readyState === before.client.socket.OPEN) before.client.send({ ...hold, id: 'late' });
    expect(await before.client.closed).toBe(1000);
    expect(rig.gateway.counts()).toMatchObject({ sockets: 1, detached: 0, calls: 1, topics: 0 });
    // The call of the old connection still counts.
    expect(await client.rpc('echo')).toMatchObject({ code: 'OVERLOADED' });
    rig.shards.release();
    expect(await client.rpc('echo', 1)).toMatchObject({ result: 1 });
    const ids = [...before.client.messages, ...client.messages].map((message) => message['id']);
    expect(ids).not.toContain('held');
    expect(rig.shards.calls.map((call) => call[5])).toEqual(['echo', 'hold', 'echo']);
    expect(told(rig)).toEqual([
      [open, 1],
      [subscribe, 1],
      [detach, 1],
      [open, 3],
    ]);
    client.socket.close();
    await until(() => rig.shards.ops(end).length === 1);
    expect(rig.gateway.counts()).toEqual(nothing);
  });
});

describe('on the way down', () => {
  it('nobody is waited for: sessions without a connection end at once, and others with theirs', async () => {
    const rig = await startRig();
    const before = await lost(rig, given);
    const there = await known(rig, given);
    rig.phase.set('draining');
    rig.gateway.stopListening();
    await until(() => rig.shards.ops(end).length === 1);
    expect(rig.shards.ops(end)).toEqual([[end, 1]]);
    expect(before.clientId).not.toBe(there.clientId);
    there.client.socket.terminate();
    await until(() => rig.shards.ops(end).length === 2);
    expect(rig.gateway.counts()).toEqual(nothing);
    expect(rig.shards.ops(detach)).toHaveLength(1);
  });

  it('shards have heard of every end when the gateway is closed', async () => {
    const rig = await startRig();
    await lost(rig, given);
    await known(rig, given);
    await rig.gateway.close(0);
    expect(rig.shards.ops(end)).toEqual([
      [end, 1],
      [end, 2],
    ]);
    const other = await startRig();
    await lost(other, given);
    await other.gateway.close(0);
    expect(other.shards.ops(end)).toEqual([[end, 1]]);
  });
});
