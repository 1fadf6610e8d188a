import { describe, expect, it } from 'vitest';
import { connected, refusal, roundTrip } from './rig.ts';

describe('silence', () => {
  it('is broken by a ping after 45 s, and an answer keeps the connection', async () => {
    await using test = await connected();
    test.clock.advance(45_000);
    expect(await test.peer.frame()).toEqual({ type: 'ping' });
    test.peer.send({ type: 'pong' });
    await roundTrip(test, test.peer);
    test.clock.advance(10_000);
    expect(test.client.connection.status).toBe('connected');
  });

  it('means that the connection is lost when no answer comes in 10 s', async () => {
    await using test = await connected();
    test.clock.advance(45_000);
    const sent = refusal(test.client.counter('c1').increment(undefined, { timeoutMs: 60_000 }));
    expect(await test.peer.frames(2)).toMatchObject([{ type: 'ping' }, { type: 'rpc' }]);
    test.clock.advance(10_000);
    expect(await sent).toMatchObject({ code: 'CONNECTION_LOST', outcome: 'unknown' });
    expect(test.client.connection.status).toBe('reconnecting');
  });

  it('counts from the last thing that arrived', async () => {
    await using test = await connected();
    test.clock.advance(44_000);
    await roundTrip(test, test.peer);
    test.clock.advance(44_000);
    await roundTrip(test, test.peer);
    test.clock.advance(45_000);
    expect(await test.peer.frame()).toEqual({ type: 'ping' });
  });
});
