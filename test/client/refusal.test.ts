import { describe, expect, it } from 'vitest';
import { WebSocket as WsWebSocket } from 'ws';
import { questionUrl } from '../../src/client/refusal-question.ts';
import { comeBack, connected, delayAfterLoss, inSession, refusal, refusedOnce, rig } from './rig.ts';

describe('a refused client', () => {
  it('with a fixed token is unauthorized at once, and every waiting and later call says so', async () => {
    await using test = await rig({ token: 'old' });
    const waiting = refusal(test.client.counter('c1').increment());
    test.clock.advance(0);
    (await test.server.accept()).close(4401, 'token expired');
    expect(await waiting).toMatchObject({ code: 'UNAUTHORIZED', outcome: 'rejected', retryable: false });
    expect((await waiting).message).toContain('token expired');
    expect(test.client.connection.status).toBe('unauthorized');
    expect(test.client.connection.error).toMatchObject({ code: 'UNAUTHORIZED' });
    expect(await refusal(test.client.counter('c1').increment())).toMatchObject({ code: 'UNAUTHORIZED' });
    expect(await refusal(test.client.connection.ready)).toMatchObject({ code: 'UNAUTHORIZED' });
    expect(test.clock.pendingMs).toEqual([]);
  });

  it('with a token function tries one fresh token, then is unauthorized', async () => {
    let asked = 0;
    await using test = await rig({ token: () => `token-${(asked += 1)}` });
    test.clock.advance(0);
    (await test.server.accept()).close(4401);
    await refusedOnce(test);
    test.clock.advance(250);
    const second = await test.server.accept();
    expect(second.offered).toContain('bearer.token-2');
    second.close(4401);
    await test.status('unauthorized');
    expect(asked).toBe(2);
  });

  it('may renew its token again and again when each connection was good', async () => {
    await using test = await rig({ token: () => 'short-lived' });
    test.clock.advance(0);
    for (let round = 0; round < 3; round += 1) {
      const peer = await test.server.welcome();
      await test.status('connected');
      test.clock.advance(5000);
      test.clock.advance(await delayAfterLoss(test, peer, 4401));
    }
    await test.server.welcome();
    await test.status('connected');
  });

  it('stops at once when it is forbidden, whatever its token', async () => {
    await using test = await connected({ token: () => 'valid' });
    test.peer.close(4403);
    await test.status('unauthorized');
    expect(test.client.connection.error).toMatchObject({ code: 'FORBIDDEN' });
    expect(test.clock.pendingMs).toEqual([]);
  });
});

describe('a refused upgrade, which no WebSocket tells', () => {
  it('is asked about once per attempt; 401 with a fixed token ends the client and its calls', async () => {
    await using test = await rig({ token: 'aaa.bbb.ccc' });
    test.server.refusal = 401;
    test.server.answer = 401;
    const waiting = refusal(test.client.counter('c1').increment());
    test.clock.advance(0);
    expect(await waiting).toMatchObject({ code: 'UNAUTHORIZED', outcome: 'rejected', retryable: false });
    expect(test.client.connection.status).toBe('unauthorized');
    expect(test.server.questions).toEqual([{ url: '/v1/auth', authorization: 'Bearer aaa.bbb.ccc' }]);
    expect(test.clock.pendingMs).toEqual([]);
  });

  it('is asked about once, also by a WebSocket that tells its failure twice', async () => {
    await using test = await rig({ token: 'aaa.bbb.ccc', WebSocket: WsWebSocket });
    test.server.refusal = 503;
    test.clock.advance(0);
    await refusedOnce(test);
    expect(test.server.questions).toHaveLength(1);
  });

  it('is answered with one fresh token, and then the end', async () => {
    let asked = 0;
    await using test = await rig({ token: () => `token-${(asked += 1)}` });
    test.server.refusal = 401;
    test.server.answer = 401;
    test.clock.advance(0);
    await refusedOnce(test);
    expect(test.client.connection.status).toBe('connecting');
    test.clock.advance(250);
    await test.status('unauthorized');
    expect(test.server.questions.map(({ authorization }) => authorization)).toEqual([
      'Bearer token-1',
      'Bearer token-2',
    ]);
    expect(asked).toBe(2);
  });

  it('ends a call that was sent as unknown', async () => {
    await using test = await inSession({ token: 'fixed' });
    const sent = refusal(test.client.counter('c1').increment());
    await test.peer.frame();
    test.server.refusal = 401;
    test.server.answer = 401;
    test.clock.advance(await delayAfterLoss(test, test.peer));
    expect(await sent).toMatchObject({ code: 'UNAUTHORIZED', outcome: 'unknown' });
  });

  it('with 403 ends the client at once, whatever its token', async () => {
    await using test = await rig({ token: () => 'valid' });
    test.server.refusal = 403;
    test.server.answer = 403;
    test.clock.advance(0);
    await test.status('unauthorized');
    expect(test.client.connection.error).toMatchObject({ code: 'FORBIDDEN' });
  });

  it.each([200, 404, 429, 503])('with %d is a server that is away: the client goes on trying', async (status) => {
    await using test = await rig();
    test.server.refusal = 503;
    test.server.answer = status;
    test.clock.advance(0);
    await refusedOnce(test);
    expect(test.server.questions).toEqual([{ url: '/v1/auth', authorization: undefined }]);
    test.server.refusal = 0;
    test.clock.advance(125);
    await test.server.welcome();
    await test.status('connected');
  });

  it('is asked about when the server takes the socket and drops it without a word, not when it welcomed or told a code', async () => {
    await using test = await inSession();
    const second = await comeBack(test, test.peer);
    test.clock.advance(await delayAfterLoss(test, second));
    (await test.server.accept()).close(1011);
    await refusedOnce(test);
    test.clock.advance(500);
    const halfway = await test.server.session();
    await halfway.frame();
    halfway.cut();
    await refusedOnce(test);
    expect(test.server.questions).toEqual([]);
    test.clock.advance(1000);
    (await test.server.accept()).cut();
    await expect.poll(() => test.server.questions.length, { interval: 2 }).toBe(1);
  });

  it('is not waited for longer than for the connection', async () => {
    await using test = await rig({ connectTimeoutMs: 1000, token: 'aaa.bbb.ccc' });
    test.server.refusal = 401;
    test.server.answer = 0;
    test.clock.advance(0);
    await expect.poll(() => test.server.questions.length, { interval: 2 }).toBe(1);
    test.clock.advance(1000);
    expect(test.client.connection.error).toMatchObject({ code: 'CONNECTION_LOST' });
    expect(test.client.connection.status).toBe('connecting');
    await expect.poll(() => test.server.unanswered, { interval: 2 }).toBe(0);
  });

  it('is asked about beside the socket', () => {
    expect(questionUrl('wss://example.org/ws')).toBe('https://example.org/v1/auth');
    expect(questionUrl('ws://127.0.0.1:8080/live/ws?a=1')).toBe('http://127.0.0.1:8080/live/v1/auth');
  });
});
