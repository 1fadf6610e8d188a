import { describe, expect, it } from 'vitest';
import { comeBack, connected, delayAfterLoss, inSession, rig, roundTrip } from './rig.ts';

describe('a session', () => {
  it('is asked for after the first welcome, and the connection is open only after the second', async () => {
    await using test = await inSession();
    expect(test.client.connection.clientId).toBe('client-1');
    const answer = test.client.counter('c1').increment();
    await test.peer.frame();
    test.clock.advance(await delayAfterLoss(test, test.peer));
    const peer = await test.server.accept();
    peer.send(test.server.greeting());
    expect(await peer.frame()).toEqual({ type: 'hello', resumeToken: 'token-1' });
    expect(test.client.connection.status).toBe('reconnecting');
    peer.send({ ...test.server.greeting(), clientId: 'client-1', resumeToken: 'next', resumed: true });
    const call = await peer.frame();
    expect(call.type).toBe('rpc');
    expect(test.client.connection.status).toBe('connected');
    expect(test.client.connection.clientId).toBe('client-1');
    peer.answer(call, 1);
    expect(await answer).toBe(1);
  });

  it('is asked for with the token of the last welcome, each one once', async () => {
    await using test = await inSession();
    const second = await comeBack(test, test.peer);
    const third = await comeBack(test, second);
    expect([second.hello, third.hello]).toEqual([
      { type: 'hello', resumeToken: 'token-1' },
      { type: 'hello', resumeToken: 'second-token-2' },
    ]);
  });

  it('may be gone: the client goes on under its new name', async () => {
    await using test = await inSession();
    const next = await comeBack(test, test.peer, false);
    expect(test.client.connection.clientId).toBe('client-2');
    const third = await comeBack(test, next);
    expect(third.hello).toMatchObject({ resumeToken: 'second-token-2' });
  });

  it('that is refused by an error leaves the fresh one', async () => {
    await using test = await inSession();
    test.clock.advance(await delayAfterLoss(test, test.peer));
    const peer = await test.server.session();
    await peer.frame();
    peer.send({ type: 'error', re: { type: 'hello' }, code: 'MALFORMED', message: 'no', retryable: false });
    await test.status('connected');
    expect(test.client.connection.clientId).toBe('client-2');
    expect(test.reports).toEqual([]);
  });

  it('is not asked for where a server gives none', async () => {
    await using test = await connected();
    test.clock.advance(await delayAfterLoss(test, test.peer));
    const second = await test.server.welcome();
    await test.status('connected');
    await roundTrip(test, second);

    await using other = await inSession();
    other.clock.advance(await delayAfterLoss(other, other.peer));
    const base = await other.server.welcome();
    await other.status('connected');
    await roundTrip(other, base);
  });

  it('waits for the second welcome no longer than for the first, and is asked for again', async () => {
    await using test = await inSession({ connectTimeoutMs: 1000 });
    test.clock.advance(await delayAfterLoss(test, test.peer));
    const silent = await test.server.session();
    await silent.frame();
    test.clock.advance(1000);
    expect(await silent.closed()).toBe(4000);
    test.clock.advance(250);
    const peer = await test.server.resumed(true);
    expect(peer.hello).toMatchObject({ resumeToken: 'token-1' });
    await test.status('connected');
  });

  it('ends with the client, and not with a connection that the client gives up', async () => {
    await using test = await inSession({}, { heartbeatMs: 5000 });
    test.clock.advance(5000);
    expect(await test.peer.frame()).toEqual({ type: 'ping' });
    const closed = test.peer.closed();
    test.clock.advance(10_000);
    expect(await closed).toBe(4000);
    test.clock.advance(125);
    const peer = await test.server.resumed(true);
    await test.status('connected');
    test.client.connection.close();
    expect(await peer.closed()).toBe(1000);
  });

  it('goes on after the server found the client too slow, with the same calls', async () => {
    await using test = await inSession();
    const answer = test.client.counter('c1').increment();
    const { key } = await test.peer.frame();
    test.clock.advance(await delayAfterLoss(test, test.peer, 4408));
    const peer = await test.server.resumed(true);
    expect(peer.hello).toMatchObject({ resumeToken: 'token-1' });
    const again = await peer.frame();
    expect(again['key']).toBe(key);
    peer.answer(again, 1);
    expect(await answer).toBe(1);
  });

  it('hears a server that leaves before the second welcome', async () => {
    await using test = await inSession();
    test.clock.advance(await delayAfterLoss(test, test.peer));
    const peer = await test.server.session();
    await peer.frame();
    peer.send({ type: 'server:shutdown', reason: 'deployment', reconnectInMs: 4321 });
    peer.close(1012);
    await expect.poll(() => test.clock.pendingMs, { interval: 2 }).toEqual([4321]);
  });
});

describe('the heartbeat that a server asks for', () => {
  it.each([
    [undefined, 45_000],
    [30_000, 30_000],
    [1, 1000],
    [480_000, 60_000],
  ])('of %s ms means a ping after %d ms', async (heartbeatMs, silenceMs) => {
    await using test = await rig();
    test.clock.advance(0);
    const peer = await test.server.welcome(heartbeatMs === undefined ? {} : { heartbeatMs });
    await test.status('connected');
    test.clock.advance(silenceMs - 1);
    const answer = test.client.counter('c1').increment();
    const call = await peer.frame();
    expect(call.type).toBe('rpc');
    test.clock.advance(1);
    expect(await peer.frame()).toEqual({ type: 'ping' });
    peer.answer(call, 1);
    await answer;
  });
});
