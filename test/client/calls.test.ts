import { describe, expect, it } from 'vitest';
import { connected, inSession, refusal, rig } from './rig.ts';

describe('a call', () => {
  it('travels as an rpc frame and resolves with its result', async () => {
    await using test = await connected();
    const answer = test.client.counter('c1').add({ amount: 2 });
    const call = await test.peer.frame();
    expect(call).toEqual({
      type: 'rpc',
      id: expect.any(String),
      actor: 'counter',
      actorId: 'c1',
      method: 'add',
      input: { amount: 2 },
      deadlineMs: 10_000,
    });
    test.peer.answer(call, 7);
    expect(await answer).toBe(7);
  });

  it('sends no input where none was given, and resolves to undefined without a result', async () => {
    await using test = await connected();
    const answer = test.client.counter('c1').increment();
    const call = await test.peer.frame();
    expect(call).not.toHaveProperty('input');
    test.peer.answer(call);
    expect(await answer).toBeUndefined();
  });

  it('takes its input as it is when called, not as it is later', async () => {
    await using test = await rig();
    const input = { amount: 1 };
    const answer = test.client.counter('c1').add(input);
    input.amount = 99;
    test.clock.advance(0);
    const peer = await test.server.welcome();
    const call = await peer.frame();
    expect(call['input']).toEqual({ amount: 1 });
    peer.answer(call, 1);
    await answer;
  });

  it('finds its own answer when answers come in another order', async () => {
    await using test = await connected();
    const answers = [1, 2, 3].map((amount) => test.client.counter('c1').add({ amount }));
    const calls = await test.peer.frames(3);
    for (const call of calls.toReversed()) test.peer.answer(call, call['input']);
    expect(await Promise.all(answers)).toEqual([{ amount: 1 }, { amount: 2 }, { amount: 3 }]);
  });

  it('waits for the connection, and waiting calls leave in the order in which they were made', async () => {
    await using test = await rig();
    const answers = [1, 2, 3, 4, 5].map((amount) => test.client.counter('c1').add({ amount }));
    test.clock.advance(0);
    const peer = await test.server.welcome();
    const calls = await peer.frames(5);
    expect(calls.map((call) => call['input'])).toEqual([1, 2, 3, 4, 5].map((amount) => ({ amount })));
    for (const call of calls) peer.answer(call, true);
    await Promise.all(answers);
  });

  it('tells the server how long its caller still cares, the wait taken off', async () => {
    await using test = await rig();
    const answer = test.client.counter('c1').increment(undefined, { timeoutMs: 1000, key: 'k1' });
    test.clock.advance(300);
    const peer = await test.server.welcome();
    const call = await peer.frame();
    expect(call).toMatchObject({ deadlineMs: 700, key: 'k1' });
    peer.answer(call);
    await answer;
  });

  it('takes the trace context of its caller along, to servers that know the additions', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    for (const [open, sent] of [
      [inSession, traceparent],
      [connected, undefined],
    ] as const) {
      await using test = await open();
      const answer = test.client.counter('c1').increment(undefined, { traceparent });
      const call = await test.peer.frame();
      expect(call['traceparent']).toBe(sent);
      test.peer.answer(call);
      await answer;
    }
  });

  it('ends as rejected when it timed out before it left', async () => {
    await using test = await rig({ callTimeoutMs: 500, connectTimeoutMs: 5000 });
    const error = refusal(test.client.counter('c1').increment());
    test.clock.advance(500);
    expect(await error).toMatchObject({ code: 'TIMEOUT', outcome: 'rejected', retryable: true });
    const peer = await test.server.welcome();
    await test.status('connected');
    const next = test.client.counter('c1').add({ amount: 1 });
    const call = await peer.frame();
    expect(call['method']).toBe('add');
    peer.answer(call, 1);
    await next;
  });

  it('ends as unknown when it timed out after it was sent, and a late answer changes nothing', async () => {
    await using test = await connected({ callTimeoutMs: 500 });
    const answer = test.client.counter('c1').increment();
    const call = await test.peer.frame();
    test.clock.advance(500);
    expect(await refusal(answer)).toMatchObject({ code: 'TIMEOUT', outcome: 'unknown' });
    test.peer.answer(call, 1);
    const next = test.client.counter('c1').increment();
    test.peer.answer(await test.peer.frame(), 2);
    expect(await next).toBe(2);
    expect(test.reports).toEqual([]);
  });

  it('never times out with an infinite timeout', async () => {
    await using test = await connected();
    const answer = test.client.counter('c1').increment(undefined, { timeoutMs: Number.POSITIVE_INFINITY });
    const call = await test.peer.frame();
    expect(call).not.toHaveProperty('deadlineMs');
    test.peer.answer(call, 1);
    expect(await answer).toBe(1);
  });

  it('is given up by its signal, before it left and after', async () => {
    await using test = await rig();
    const waiting = new AbortController();
    const early = refusal(test.client.counter('c1').increment(undefined, { signal: waiting.signal }));
    waiting.abort('no more');
    expect(await early).toMatchObject({ code: 'ABORTED', outcome: 'rejected', cause: 'no more' });

    test.clock.advance(0);
    const peer = await test.server.welcome();
    const sent = new AbortController();
    const late = refusal(test.client.counter('c1').add({ amount: 1 }, { signal: sent.signal }));
    expect(await peer.frame()).toMatchObject({ method: 'add' });
    sent.abort();
    expect(await late).toMatchObject({ code: 'ABORTED', outcome: 'unknown' });
    expect(await refusal(test.client.counter('c1').increment(undefined, { signal: sent.signal }))).toMatchObject({
      code: 'ABORTED',
      outcome: 'rejected',
    });
  });

  it('of a server without keys ends as unknown when the connection is lost, while waiting calls live on and nothing is sent twice', async () => {
    await using test = await connected();
    const sent = refusal(test.client.counter('c1').add({ amount: 1 }));
    await test.peer.frame();
    test.peer.close(1011);
    expect(await sent).toMatchObject({ code: 'CONNECTION_LOST', outcome: 'unknown', retryable: true });
    const waiting = test.client.counter('c1').add({ amount: 2 });
    test.clock.advance(250);
    const peer = await test.server.welcome();
    const call = await peer.frame();
    expect(call['input']).toEqual({ amount: 2 });
    peer.answer(call, 2);
    expect(await waiting).toBe(2);
  });

  it('carries what the server said of its error', async () => {
    await using test = await connected();
    const error = refusal(test.client.counter('c1').increment(undefined, { retry: false }));
    const call = await test.peer.frame();
    const said = { code: 'OVERLOADED', outcome: 'rejected', retryable: true, retryAfterMs: 120 };
    test.peer.send({ type: 'rpc:result', id: call['id'], error: 'too many calls', ...said });
    expect(await error).toMatchObject({ name: 'FermataError', message: 'too many calls', ...said });
  });

  it('fails with the code ERROR when the server sends a text alone', async () => {
    await using test = await connected();
    const error = refusal(test.client.counter('c1').increment());
    const call = await test.peer.frame();
    test.peer.send({ type: 'rpc:result', id: call['id'], error: 'Unknown method: increment' });
    expect(await error).toMatchObject({
      code: 'ERROR',
      outcome: 'failed',
      retryable: false,
      message: 'Unknown method: increment',
    });
  });

  it('is refused here when its input is no JSON or its frame too large for the server', async () => {
    await using test = await rig();
    test.clock.advance(0);
    const peer = await test.server.welcome({ limits: { frameBytesMax: 300, connectionCallsMax: 10 } });
    await test.status('connected');
    const cyclic: { amount: number; self?: unknown } = { amount: 1 };
    cyclic.self = cyclic;
    expect(await refusal(test.client.counter('c1').add(cyclic))).toMatchObject({
      code: 'INVALID',
      outcome: 'rejected',
    });
    const long = refusal(test.client.chat('r1').sendMessage({ text: 'é'.repeat(140) }));
    expect(await long).toMatchObject({ code: 'TOO_LARGE', outcome: 'rejected', retryable: false });
    const fits = test.client.chat('r1').sendMessage({ text: 'e'.repeat(140) });
    peer.answer(await peer.frame());
    await fits;
  });

  it('is refused when 1,024 are already open', async () => {
    await using test = await rig();
    const waiting = Array.from({ length: 1024 }, () => test.client.counter('c1').increment());
    expect(await refusal(test.client.counter('c1').increment())).toMatchObject({
      code: 'OVERLOADED',
      outcome: 'rejected',
    });
    test.client.connection.close();
    const ends = await Promise.allSettled(waiting);
    expect(ends.every(({ status }) => status === 'rejected')).toBe(true);
  });

  it('leaves no timer and no listener on its signal behind', async () => {
    await using test = await connected();
    const before = test.clock.pendingMs.length;
    const { signal } = new AbortController();
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    };
    const answer = test.client.counter('c1').increment(undefined, { signal });
    expect(listeners).toBe(1);
    test.peer.answer(await test.peer.frame(), 1);
    await answer;
    expect(listeners).toBe(0);
    expect(test.clock.pendingMs.length).toBe(before);
  });
});

describe('closing the client', () => {
  it('settles everything: sent calls unknown, waiting calls rejected, later calls rejected, ready rejected', async () => {
    await using test = await connected();
    const sent = refusal(test.client.counter('c1').increment());
    await test.peer.frame();
    test.peer.send({ type: 'server:shutdown', reason: 'deployment', reconnectInMs: 100 });
    // Arrives behind the frame above, so that the client has seen both.
    test.peer.send({ type: 'event', actor: 'chat', actorId: 'r1', event: 'message', payload: { text: 'last' } });
    await new Promise<void>((resolve) => {
      test.client.chat('r1').on('message', () => resolve());
    });
    const waiting = refusal(test.client.counter('c1').add({ amount: 1 }));
    test.client.connection.close();
    test.client.connection.close();
    expect(await sent).toMatchObject({ code: 'CLOSED', outcome: 'unknown' });
    expect(await waiting).toMatchObject({ code: 'CLOSED', outcome: 'rejected' });
    expect(await refusal(test.client.counter('c1').increment())).toMatchObject({ code: 'CLOSED', outcome: 'rejected' });
    expect(await refusal(test.client.connection.ready)).toMatchObject({ code: 'CLOSED' });
    expect(test.client.connection.status).toBe('closed');
    expect(test.clock.pendingMs).toEqual([]);
    await test.peer.closed();
    expect(test.server.opened).toBe(1);
  });
});
