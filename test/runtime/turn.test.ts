import { afterEach, describe, expect, it, vi } from 'vitest';
import { Rig } from './rig.ts';
import { app, closeGate, gate, kept, ok, refused } from './rig-app.ts';

let rig: Rig;
afterEach(async () => {
  gate.open();
  await rig.stop();
  rig.remove();
  vi.restoreAllMocks();
});

describe('a turn', () => {
  it('answers with the result and says that it is durable', async () => {
    rig = new Rig(app);
    const session = rig.session();
    expect(await rig.call(session, 'counter', 'c1', 'add', { amount: 2 })).toEqual({
      ok: true,
      result: 2,
      durable: true,
      seq: 0,
    });
    expect(await rig.call(session, 'counter', 'c1', 'nothing')).toEqual({
      ok: true,
      result: undefined,
      durable: true,
      seq: 0,
    });
    expect(await rig.call(session, 'fleeting', 'f', 'add')).toEqual({ ok: true, result: 1, durable: false, seq: 0 });
  });

  it('runs the calls of one actor in the order in which they came', async () => {
    rig = new Rig(app);
    const session = rig.session();
    const replies = await Promise.all(
      Array.from({ length: 500 }, () => rig.call(session, 'counter', 'c1', 'add', { amount: 1 })),
    );
    expect(replies.map((reply) => reply.ok && reply.result)).toEqual(
      Array.from({ length: 500 }, (_, index) => index + 1),
    );
  });

  it('holds the actor while it waits, and no other', async () => {
    rig = new Rig(app);
    const session = rig.session();
    closeGate();
    const slow = rig.call(session, 'counter', 'c1', 'slow');
    const after = rig.call(session, 'counter', 'c1', 'add', { amount: 10 });
    expect(await rig.call(session, 'counter', 'c2', 'add', { amount: 1 })).toEqual(ok(1));
    expect(rig.seen).toHaveLength(1);
    gate.open();
    expect(await slow).toEqual(ok(1));
    expect(await after).toEqual(ok(11));
  });

  it('changes nothing and sends nothing when it throws', async () => {
    rig = new Rig(app);
    const session = rig.session();
    rig.subscribe(session, 'counter', 'c1', 'state');
    rig.subscribe(session, 'counter', 'c1', 'event');
    expect(await rig.call(session, 'counter', 'c1', 'fail')).toEqual(refused('HANDLER', 'no'));
    expect(await rig.call(session, 'counter', 'c1', 'get')).toEqual(ok(0));
    expect(rig.framesOf(session).map((frame) => frame['type'])).toEqual(['state:snapshot']);
    expect(await rig.call(session, 'counter', 'c1', 'failOddly')).toEqual(refused('HANDLER', 'Unknown error'));
    expect(await rig.call(session, 'counter', 'c1', 'failEmptily')).toEqual(refused('HANDLER', 'Error'));
  });

  it('fails at its limit, and the handler cannot write afterwards', async () => {
    rig = new Rig(app, { limits: { turnMs: 50 } });
    const session = rig.session();
    closeGate();
    expect(await rig.call(session, 'counter', 'c1', 'slow')).toEqual(refused('TURN_TIMEOUT'));
    expect(() => {
      kept.state!.count = 5;
    }).toThrow(TypeError);
    gate.open();
    expect(await rig.call(session, 'counter', 'c1', 'add', { amount: 1 })).toEqual(ok(1));
  });

  it('fails when it emits an event that is not declared, even if the handler catches that', async () => {
    rig = new Rig(app);
    const session = rig.session();
    expect(await rig.call(session, 'counter', 'c1', 'wrongEvent')).toEqual(refused('INTERNAL'));
    expect(await rig.call(session, 'counter', 'c1', 'get')).toEqual(ok(0));
  });

  it('fails when its result or its state cannot be kept, and tells no detail', async () => {
    rig = new Rig(app, { limits: { stateBytesMax: 10_000 } });
    const session = rig.session();
    for (const method of ['cyclic', 'huge']) {
      const reply = await rig.call(session, 'counter', 'c1', method);
      expect(reply).toEqual(refused('INTERNAL'));
      expect(!reply.ok && reply.error.message).toMatch(/^Internal error [\w-]{16}$/);
    }
  });

  it('may return a draft', async () => {
    rig = new Rig(app);
    expect(await rig.call(rig.session(), 'counter', 'c1', 'push')).toEqual(ok([{ n: 0 }]));
  });

  it('is refused for unknown actors, methods and invalid input, in the words that base clients know', async () => {
    rig = new Rig(app);
    const session = rig.session();
    expect(await rig.call(session, 'nope', 'x', 'y')).toEqual(refused('UNKNOWN_ACTOR', 'Unknown actor: nope'));
    for (const method of ['nope', 'constructor', 'toString', '__proto__']) {
      expect(await rig.call(session, 'counter', 'c1', method)).toEqual(
        refused('UNKNOWN_METHOD', `Unknown method: ${method}`),
      );
    }
    const invalid = await rig.call(session, 'counter', 'c1', 'add', { amount: 'x' });
    expect(invalid).toEqual(refused('INVALID'));
    expect(!invalid.ok && invalid.error.message).toMatch(/^Validation failed for add: \[\{/);
  });

  it('is refused when its deadline passed while it waited', async () => {
    rig = new Rig(app);
    const session = rig.session();
    closeGate();
    const slow = rig.call(session, 'counter', 'c1', 'slow');
    const late = rig.call(session, 'counter', 'c1', 'add', { amount: 1 }, { deadlineMs: 1 });
    await new Promise((resolve) => setTimeout(resolve, 10));
    gate.open();
    await slow;
    expect(await late).toEqual(refused('DEADLINE'));
  });
});

describe('a call with a key', () => {
  it('has its effect once, and a repeat gets the same outcome', async () => {
    rig = new Rig(app);
    const session = rig.session();
    const first = await rig.call(session, 'counter', 'c1', 'add', { amount: 1 }, { key: 'k' });
    expect(await rig.call(session, 'counter', 'c1', 'add', { amount: 1 }, { key: 'k' })).toEqual(first);
    expect(await rig.call(session, 'counter', 'c1', 'get')).toEqual(ok(1));
  });

  it('waits for the one that runs', async () => {
    rig = new Rig(app);
    const session = rig.session();
    closeGate();
    const both = [1, 2].map(() => rig.call(session, 'counter', 'c1', 'slow', undefined, { key: 'k' }));
    gate.open();
    expect(await Promise.all(both)).toEqual([ok(1), ok(1)]);
  });

  it('is refused when the key stood for another call', async () => {
    rig = new Rig(app);
    const session = rig.session();
    await rig.call(session, 'counter', 'c1', 'add', { amount: 1 }, { key: 'k' });
    expect(await rig.call(session, 'counter', 'c1', 'add', { amount: 2 }, { key: 'k' })).toEqual(refused('KEY_REUSED'));
    expect(await rig.call(session, 'counter', 'c1', 'get', undefined, { key: 'k' })).toEqual(refused('KEY_REUSED'));
  });

  it('keeps a failure too, but not a refusal', async () => {
    rig = new Rig(app);
    const session = rig.session();
    expect(await rig.call(session, 'counter', 'c1', 'fail', undefined, { key: 'k' })).toEqual(refused('HANDLER', 'no'));
    expect(await rig.call(session, 'counter', 'c1', 'fail', undefined, { key: 'k' })).toEqual(refused('HANDLER', 'no'));
    expect(await rig.call(session, 'counter', 'c1', 'add', { amount: 'x' }, { key: 'l' })).toEqual(refused('INVALID'));
    expect(await rig.call(session, 'counter', 'c1', 'add', { amount: 1 }, { key: 'l' })).toEqual(ok(1));
  });

  it('is known again after a restart, and when memory let it go', async () => {
    rig = new Rig(app, { limits: { outcomesInMemoryMax: 1024 } });
    const session = rig.session();
    const first = await rig.call(session, 'counter', 'c1', 'add', { amount: 1 }, { key: 'k' });
    for (const from of [0, 1000]) {
      const calls = Array.from({ length: 1000 }, (_, n) =>
        rig.call(session, 'counter', 'c1', 'add', { amount: 1 }, { key: `k${from + n}` }),
      );
      await Promise.all(calls);
    }
    expect(await rig.call(session, 'counter', 'c1', 'add', { amount: 1 }, { key: 'k' })).toEqual(first);
    const { dataDir } = rig;
    await rig.stop();
    rig = new Rig(app, { dataDir });
    const later = rig.session();
    expect(await rig.call(later, 'counter', 'c1', 'add', { amount: 1 }, { key: 'k' })).toEqual(first);
    expect(await rig.call(later, 'counter', 'c1', 'add', { amount: 1 }, { key: 'k1999' })).toEqual(ok(2001));
    expect(await rig.call(later, 'counter', 'c1', 'get')).toEqual(ok(2001));
  });
});

describe('bounds', () => {
  it('refuse calls past a full mailbox at once, and serve the others', async () => {
    rig = new Rig(app, { limits: { mailboxCallsMax: 4 } });
    const session = rig.session();
    await rig.call(session, 'counter', 'c1', 'get');
    closeGate();
    const slow = rig.call(session, 'counter', 'c1', 'slow');
    const calls = Array.from({ length: 8 }, () => rig.call(session, 'counter', 'c1', 'get'));
    const early = await Promise.race(calls.slice(4));
    expect(early).toEqual(refused('OVERLOADED'));
    gate.open();
    await slow;
    expect((await Promise.all(calls)).filter((reply) => reply.ok).length).toBeGreaterThanOrEqual(3);
  });

  it('refuse calls when the journal is full', async () => {
    rig = new Rig(app);
    vi.spyOn(rig.journal, 'unsyncedBytes', 'get').mockReturnValue(Number.MAX_SAFE_INTEGER);
    expect(await rig.call(rig.session(), 'counter', 'c1', 'get')).toEqual(refused('OVERLOADED'));
  });
});
