import { describe, expect, it } from 'vitest';
import { connected, delayAfterLoss, refusal, refusedOnce, rig } from './rig.ts';

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
