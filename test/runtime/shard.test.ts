import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { actor, AppError, createApp, middleware } from '../../src/index.ts';
import { CommitError } from '../../src/storage/transaction.ts';
import { Rig } from './rig.ts';

const gate = { open: () => undefined as void, closed: Promise.resolve() as Promise<void> };
function closeGate(): void {
  gate.closed = new Promise((resolve) => {
    gate.open = resolve;
  });
}

const kept: { state?: { count: number } } = {};
const log: string[] = [];

const counter = actor({
  state: z.object({ count: z.number().default(0), items: z.array(z.object({ n: z.number() })).default([]) }),
  methods: {
    add: {
      input: z.object({ amount: z.number() }),
      handler: ({ state, input, emit }) => {
        state.count += input.amount;
        emit('added', { amount: input.amount }).broadcast();
        return state.count;
      },
    },
    get: { handler: ({ state }) => state.count },
    nothing: { handler: () => undefined },
    push: {
      handler: ({ state }) => {
        state.items.push({ n: state.items.length });
        return state.items;
      },
    },
    fail: {
      handler: ({ state, emit }) => {
        state.count = 999;
        emit('added', { amount: 999 }).broadcast();
        throw new Error('no');
      },
    },
    failOddly: {
      handler: () => {
        // oxlint-disable-next-line no-throw-literal, only-throw-error
        throw 'text';
      },
    },
    failEmptily: {
      handler: () => {
        // oxlint-disable-next-line error-message
        throw new Error('');
      },
    },
    slow: {
      handler: async ({ state }) => {
        kept.state = state;
        await gate.closed;
        state.count += 1;
        return state.count;
      },
    },
    wrongEvent: {
      handler: ({ state, emit }) => {
        state.count += 1;
        try {
          emit('nope' as 'added', { amount: 1 });
        } catch {
          return 'caught';
        }
        return 'sent';
      },
    },
    huge: {
      handler: ({ state }) => {
        state.items = Array.from({ length: 5000 }, (_, n) => ({ n }));
      },
    },
    cyclic: {
      handler: () => {
        const circle: Record<string, unknown> = {};
        circle['self'] = circle;
        return circle;
      },
    },
    who: { handler: ({ clients, clientId, tenant, userId }) => ({ clients: [...clients], clientId, tenant, userId }) },
    whisper: {
      input: z.object({ to: z.array(z.string()), except: z.boolean().default(false) }),
      handler: ({ emit, input }) => {
        const whisper = emit('added', { amount: 7 });
        if (input.except) whisper.except(input.to);
        else whisper.to(input.to);
      },
    },
  },
  events: { added: z.object({ amount: z.number() }) },
});

const visits = actor({
  state: z.object({ online: z.array(z.string()).default([]), activations: z.number().default(0) }),
  methods: { list: { handler: ({ state }) => state } },
  onActivate: ({ state }) => {
    state.activations += 1;
  },
  onDeactivate: () => void log.push('deactivated'),
  onConnect: ({ state, clientId }) => {
    state.online.push(clientId);
    if (clientId === 'bad') throw new Error('hook');
  },
  onDisconnect: ({ state, clientId }) => {
    state.online = state.online.filter((id) => id !== clientId);
  },
});

const members = middleware()
  .use(({ claims, kind }) => {
    if (claims['member'] !== true) throw new AppError('FORBIDDEN', `Members only (${kind})`);
    return { member: true };
  })
  .actor({
    state: z.object({ secret: z.string().default('s') }),
    methods: { tell: { handler: ({ state, ctx }) => [state.secret, ctx.member] } },
  });

const fleeting = actor({
  state: z.object({ count: z.number().default(0) }),
  durability: 'memory',
  methods: { add: { handler: ({ state }) => (state.count += 1) } },
});

const app = createApp({ actors: { counter, visits, members, fleeting } });

let rig: Rig;
afterEach(async () => {
  gate.open();
  await rig.stop();
  rig.remove();
  vi.restoreAllMocks();
});

const ok = (result: unknown) => expect.objectContaining({ ok: true, result }) as unknown;
const refused = (code: string, message?: string) =>
  expect.objectContaining({
    ok: false,
    error: expect.objectContaining(message === undefined ? { code } : { code, message }) as unknown,
  }) as unknown;

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

describe('streams', () => {
  it('send patch, events and result of a call in that order, after the snapshot', async () => {
    rig = new Rig(app);
    const session = rig.session();
    rig.subscribe(session, 'counter', 'c1', 'state');
    rig.subscribe(session, 'counter', 'c1', 'event');
    await rig.call(session, 'counter', 'c1', 'add', { amount: 3 });
    expect(rig.framesOf(session)).toEqual([
      { type: 'state:snapshot', actor: 'counter', actorId: 'c1', state: { count: 0, items: [] } },
      { type: 'state:patch', actor: 'counter', actorId: 'c1', patches: [{ op: 'replace', path: '/count', value: 3 }] },
      { type: 'event', actor: 'counter', actorId: 'c1', event: 'added', payload: { amount: 3 } },
    ]);
    expect(rig.seen.at(-1)).toEqual({ kind: 'reply', call: 1 });
  });

  it('reach exactly the clients that an event is addressed to', async () => {
    rig = new Rig(app);
    const [a, b, c] = [
      rig.session({ clientId: 'a' }),
      rig.session({ clientId: 'b' }),
      rig.session({ clientId: 'c' }),
    ] as const;
    for (const session of [a, b, c]) rig.subscribe(session, 'counter', 'c1', 'event');
    await rig.call(a, 'counter', 'c1', 'whisper', { to: ['a', 'c', 'nobody'] });
    await rig.call(a, 'counter', 'c1', 'whisper', { to: ['a'], except: true });
    expect([a, b, c].map((session) => rig.framesOf(session).length)).toEqual([1, 1, 2]);
  });

  it('stop with unsubscribe, and a second subscription sends the snapshot again', async () => {
    rig = new Rig(app);
    const session = rig.session();
    rig.subscribe(session, 'counter', 'c1', 'state');
    rig.subscribe(session, 'counter', 'c1', 'state');
    rig.unsubscribe(session, 'counter', 'c1', 'state');
    await rig.call(session, 'counter', 'c1', 'add', { amount: 1 });
    expect(rig.framesOf(session).map((frame) => frame['type'])).toEqual(['state:snapshot', 'state:snapshot']);
  });

  it('are closed to clients that middleware refuses, as are calls and reads', async () => {
    rig = new Rig(app);
    const stranger = rig.session();
    const member = rig.session({ claims: { member: true } });
    rig.subscribe(stranger, 'members', 'm', 'state');
    expect(await rig.call(stranger, 'members', 'm', 'tell')).toEqual(refused('FORBIDDEN', 'Members only (call)'));
    expect(await rig.read(stranger, 'members', 'm')).toEqual(refused('FORBIDDEN', 'Members only (subscribe)'));
    expect(rig.framesOf(stranger)).toEqual([expect.objectContaining({ type: 'error', code: 'FORBIDDEN' })]);
    expect(await rig.call(member, 'members', 'm', 'tell')).toEqual(ok(['s', true]));
    expect(await rig.read(member, 'members', 'm')).toEqual(ok({ secret: 's' }));
  });
});

describe('presence', () => {
  it('is in the first snapshot, and ends with the connection', async () => {
    rig = new Rig(app);
    const [a, b] = [rig.session({ clientId: 'a' }), rig.session({ clientId: 'b' })];
    rig.subscribe(a, 'visits', 'v', 'state');
    await rig.call(b, 'visits', 'v', 'list');
    expect(rig.framesOf(a)[0]).toMatchObject({ type: 'state:snapshot', state: { online: ['a'], activations: 1 } });
    rig.end(b);
    expect(await rig.call(a, 'visits', 'v', 'list')).toEqual(ok({ online: ['a'], activations: 1 }));
  });

  it('survives a hook that throws: the change is undone, the client is served', async () => {
    rig = new Rig(app);
    const bad = rig.session({ clientId: 'bad' });
    expect(await rig.call(bad, 'visits', 'v', 'list')).toEqual(ok({ online: [], activations: 1 }));
  });

  it('is kept while the actor is out of memory, and onDisconnect still runs', async () => {
    rig = new Rig(app, { limits: { actorIdleMs: 1 } });
    const a = rig.session({ clientId: 'a' });
    await rig.call(a, 'visits', 'v', 'list');
    log.length = 0;
    await vi.waitUntil(() => log.includes('deactivated'), { timeout: 5000 });
    rig.end(a);
    const b = rig.session({ clientId: 'b' });
    const reply = await rig.call(b, 'visits', 'v', 'list');
    expect(reply.ok && reply.result).toMatchObject({ online: ['b'] });
    expect(reply.ok && (reply.result as { activations: number }).activations).toBeGreaterThan(1);
  });

  it('has no place for callers over HTTP', async () => {
    rig = new Rig(app);
    expect(await rig.call(rig.session({ kind: 'http' }), 'visits', 'v', 'list')).toEqual(
      ok({ online: [], activations: 1 }),
    );
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

describe('a failing store', () => {
  it('lets nothing out of the batch: callers hear unknown, and the actor is loaded again from disk', async () => {
    rig = new Rig(app);
    const session = rig.session();
    rig.subscribe(session, 'counter', 'c1', 'state');
    await rig.call(session, 'counter', 'c1', 'add', { amount: 1 });
    const commit = vi.spyOn(rig.journal, 'commit').mockImplementationOnce(() => {
      throw new CommitError('unknown', rig.journal.path, new Error('disk'));
    });
    const [lost, read] = await Promise.all([
      rig.call(session, 'counter', 'c1', 'add', { amount: 5 }),
      rig.call(session, 'counter', 'c1', 'get'),
    ]);
    expect(commit).toHaveBeenCalled();
    expect(lost).toEqual(refused('UNKNOWN'));
    expect(read).toEqual(refused('UNKNOWN'));
    expect(await rig.call(session, 'counter', 'c1', 'get')).toEqual(ok(1));
    const states = rig.framesOf(session).map((frame) => frame['state'] ?? frame['patches']);
    expect(JSON.stringify(states)).not.toContain('6');
    expect(rig.framesOf(session).at(-1)).toMatchObject({ type: 'state:snapshot', state: { count: 1 } });
  });

  it('refuses changes until it works again, and answers reads meanwhile', async () => {
    rig = new Rig(app);
    const session = rig.session();
    await rig.call(session, 'counter', 'c1', 'add', { amount: 1 });
    const failing = [vi.spyOn(rig.journal, 'commit'), vi.spyOn(rig.journal, 'probe')];
    for (const spy of failing) {
      spy.mockImplementation(() => {
        throw new CommitError('rolled-back', rig.journal.path, new Error('full'));
      });
    }
    expect(await rig.call(session, 'counter', 'c1', 'add', { amount: 1 })).toEqual(refused('READ_ONLY'));
    expect(await rig.call(session, 'counter', 'c1', 'add', { amount: 1 })).toEqual(refused('READ_ONLY'));
    expect(await rig.call(session, 'counter', 'c1', 'get')).toEqual(ok(1));
    for (const spy of failing) spy.mockRestore();
    await vi.waitUntil(async () => (await rig.call(session, 'counter', 'c1', 'add', { amount: 1 })).ok, {
      timeout: 5000,
      interval: 50,
    });
    expect(await rig.call(session, 'counter', 'c1', 'get')).toEqual(ok(2));
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

describe('a restart', () => {
  it('finds every acknowledged state, also of actors that were evicted before', async () => {
    rig = new Rig(app, { limits: { actorIdleMs: 1 } });
    const session = rig.session();
    await Promise.all(
      Array.from({ length: 50 }, (_, n) => rig.call(session, 'counter', `c${n}`, 'add', { amount: n })),
    );
    const { dataDir } = rig;
    await rig.stop();
    rig = new Rig(app, { dataDir });
    const later = rig.session();
    const replies = await Promise.all(Array.from({ length: 50 }, (_, n) => rig.call(later, 'counter', `c${n}`, 'get')));
    expect(replies.map((reply) => reply.ok && reply.result)).toEqual(Array.from({ length: 50 }, (_, n) => n));
  });

  it('brings an older state to the version that the app declares', async () => {
    rig = new Rig(app);
    await rig.call(rig.session(), 'counter', 'c1', 'add', { amount: 4 });
    const { dataDir } = rig;
    await rig.stop();
    const total = actor({
      state: z.object({ total: z.number().default(0) }),
      version: 2,
      migrate: (state, from) => ({ total: (state as { count: number }).count * 10 + from }),
      methods: { get: { handler: ({ state }) => state.total }, add: { handler: ({ state }) => (state.total += 1) } },
    });
    rig = new Rig(createApp({ actors: { counter: total } }), { dataDir });
    const session = rig.session();
    expect(await rig.call(session, 'counter', 'c1', 'get')).toEqual(ok(41));
    expect(await rig.call(session, 'counter', 'c1', 'add')).toEqual(ok(42));
    await rig.stop();
    rig = new Rig(app, { dataDir });
    expect(await rig.call(rig.session(), 'counter', 'c1', 'get')).toEqual(refused('INTERNAL'));
  });

  it('gives a stored state the defaults of fields that are new', async () => {
    rig = new Rig(app);
    await rig.call(rig.session(), 'counter', 'c1', 'add', { amount: 4 });
    const { dataDir } = rig;
    await rig.stop();
    const grown = actor({
      state: z.object({ count: z.number().default(0), color: z.string().default('red') }),
      methods: { paint: { handler: ({ state }) => `${(state.color += '!')} ${(state.count += 1)}` } },
    });
    rig = new Rig(createApp({ actors: { counter: grown } }), { dataDir });
    expect(await rig.call(rig.session(), 'counter', 'c1', 'paint')).toEqual(ok('red! 5'));
    await rig.stop();
    rig = new Rig(createApp({ actors: { counter: grown } }), { dataDir });
    expect(await rig.call(rig.session(), 'counter', 'c1', 'paint')).toEqual(ok('red!! 6'));
  });
});
