import { describe, expect, it } from 'vitest';
import { inSession, refusal, roundTrip } from './rig.ts';

describe('a call that is refused for now', () => {
  it('is made again under the same key after what the server asked for and a random share of a doubling delay', async () => {
    await using test = await inSession({ callTimeoutMs: 60_000 });
    test.clock.chance = 0.999_999;
    const answer = test.client.counter('c1').add({ amount: 1 });
    let call = await test.peer.frame();
    const { key } = call;
    for (const delayMs of [200 + 100, 200 + 200, 200 + 400]) {
      test.peer.refuse(call, 'OVERLOADED', { retryAfterMs: 200 });
      await roundTrip(test, test.peer);
      test.clock.advance(delayMs - 1);
      await roundTrip(test, test.peer);
      test.clock.advance(1);
      call = await test.peer.frame();
      expect(call).toMatchObject({ key, input: { amount: 1 } });
    }
    test.peer.answer(call, 7);
    expect(await answer).toBe(7);
  });

  it('is made again when its outcome is unknown', async () => {
    await using test = await inSession();
    const answer = test.client.counter('c1').increment();
    const first = await test.peer.frame();
    test.peer.refuse(first, 'UNKNOWN', { outcome: 'unknown' });
    await roundTrip(test, test.peer);
    test.clock.advance(50);
    const second = await test.peer.frame();
    expect(second['key']).toBe(first['key']);
    test.peer.answer(second, 1);
    expect(await answer).toBe(1);
  });

  it.each([
    ['KEY_REUSED', 'rejected'],
    ['INVALID', 'rejected'],
    ['QUARANTINED', 'rejected'],
    ['SEAT_TAKEN', 'failed'],
  ])('is not made again when the refusal is final: %s', async (code, outcome) => {
    await using test = await inSession();
    const error = refusal(test.client.counter('c1').increment());
    test.peer.refuse(await test.peer.frame(), code, { outcome, retryable: false });
    expect(await error).toMatchObject({ code, outcome, retryable: false });
  });

  it('is final at once with retry: false', async () => {
    await using test = await inSession();
    const counter = test.client.counter('c1');
    const refused = refusal(counter.increment(undefined, { retry: false }));
    test.peer.refuse(await test.peer.frame(), 'OVERLOADED', { retryAfterMs: 120 });
    expect(await refused).toMatchObject({
      code: 'OVERLOADED',
      outcome: 'rejected',
      retryable: true,
      retryAfterMs: 120,
    });
    const unknown = refusal(counter.increment(undefined, { retry: false }));
    test.peer.refuse(await test.peer.frame(), 'UNKNOWN', { outcome: 'unknown' });
    expect(await unknown).toMatchObject({ code: 'UNKNOWN', outcome: 'unknown' });
  });

  it('ends at its deadline with the last refusal as the cause, as rejected because it never ran', async () => {
    await using test = await inSession({ callTimeoutMs: 1000 });
    const error = refusal(test.client.counter('c1').increment());
    test.peer.refuse(await test.peer.frame(), 'READ_ONLY', { retryAfterMs: 5000 });
    await roundTrip(test, test.peer);
    test.clock.advance(1000);
    expect(await error).toMatchObject({ code: 'TIMEOUT', outcome: 'rejected', cause: { code: 'READ_ONLY' } });
    expect(test.clock.pendingMs.filter((ms) => ms <= 5000)).toHaveLength(1); // the proof of the connection
  });

  it('ends as unknown when any attempt may have run, also when the last one was refused for good', async () => {
    await using test = await inSession();
    const late = refusal(test.client.counter('c1').add({ amount: 1 }, { timeoutMs: 1000 }));
    const first = await test.peer.frame();
    test.peer.refuse(first, 'UNKNOWN', { outcome: 'unknown' });
    await roundTrip(test, test.peer);
    test.clock.advance(50);
    test.peer.refuse(await test.peer.frame(), 'OVERLOADED', { retryAfterMs: 5000 });
    await roundTrip(test, test.peer);
    test.clock.advance(950);
    expect(await late).toMatchObject({ code: 'TIMEOUT', outcome: 'unknown', cause: { code: 'OVERLOADED' } });

    const final = refusal(test.client.counter('c1').add({ amount: 2 }));
    test.peer.refuse(await test.peer.frame(), 'UNKNOWN', { outcome: 'unknown' });
    await roundTrip(test, test.peer);
    test.clock.advance(50);
    test.peer.refuse(await test.peer.frame(), 'QUARANTINED', { retryable: false });
    expect(await final).toMatchObject({
      code: 'QUARANTINED',
      outcome: 'unknown',
      retryable: false,
      cause: { outcome: 'rejected' },
    });
  });

  it('holds back later calls to its actor that have not left, and no others', async () => {
    await using test = await inSession();
    const counter = test.client.counter('c1');
    const first = counter.add({ amount: 1 });
    test.peer.refuse(await test.peer.frame(), 'OVERLOADED');
    await roundTrip(test, test.peer);
    const second = counter.add({ amount: 2 });
    const third = counter.add({ amount: 3 });
    const elsewhere = test.client.counter('c2').add({ amount: 4 });
    const other = await test.peer.frame();
    expect(other).toMatchObject({ actorId: 'c2' });
    test.peer.answer(other);
    await elsewhere;
    test.clock.advance(50);
    const calls = await test.peer.frames(3);
    expect(calls.map(({ input }) => input)).toEqual([1, 2, 3].map((amount) => ({ amount })));
    for (const call of calls) test.peer.answer(call, 0);
    await Promise.all([first, second, third]);
  });

  it('lets the calls behind it go when it is given up, and two that were refused keep their order', async () => {
    await using test = await inSession();
    const counter = test.client.counter('c1');
    const controller = new AbortController();
    const first = refusal(counter.add({ amount: 1 }, { signal: controller.signal }));
    const second = counter.add({ amount: 2 });
    const third = counter.add({ amount: 3 });
    const calls = await test.peer.frames(3);
    // The later ones would be due earlier.
    for (const at of [2, 1, 0]) test.peer.refuse(calls[at]!, 'OVERLOADED', { retryAfterMs: 300 - 100 * at });
    await roundTrip(test, test.peer);
    test.clock.advance(280);
    await roundTrip(test, test.peer);
    controller.abort();
    expect(await first).toMatchObject({ code: 'ABORTED', outcome: 'rejected' });
    const again = await test.peer.frames(2);
    expect(again.map(({ input }) => input)).toEqual([{ amount: 2 }, { amount: 3 }]);
    for (const call of again) test.peer.answer(call, 0);
    await Promise.all([second, third]);
  });

  it('waits through a lost connection and keeps its place', async () => {
    await using test = await inSession();
    const counter = test.client.counter('c1');
    const first = counter.add({ amount: 1 });
    const second = counter.add({ amount: 2 });
    const calls = await test.peer.frames(2);
    test.peer.refuse(calls[0]!, 'OVERLOADED', { retryAfterMs: 1000 });
    await roundTrip(test, test.peer);
    test.peer.cut();
    await test.status('reconnecting');
    test.clock.advance(125);
    const peer = await test.server.resumed(true);
    await test.status('connected');
    await roundTrip(test, peer);
    test.clock.advance(1000);
    const again = await peer.frames(2);
    expect(again.map(({ key }) => key)).toEqual(calls.map(({ key }) => key));
    for (const call of again) peer.answer(call, 0);
    await Promise.all([first, second]);
  });

  it('is made for ever without a timeout, as long as the client lives', async () => {
    await using test = await inSession();
    const error = refusal(test.client.counter('c1').increment(undefined, { timeoutMs: Number.POSITIVE_INFINITY }));
    for (let attempt = 0; attempt < 12; attempt += 1) {
      test.peer.refuse(await test.peer.frame(), 'DRAINING');
      await roundTrip(test, test.peer);
      test.clock.advance(5000);
    }
    test.client.connection.close();
    expect(await error).toMatchObject({ code: 'CLOSED' });
    expect(test.clock.pendingMs).toEqual([]);
  });
});
