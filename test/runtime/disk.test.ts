import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { actor, createApp } from '../../src/index.ts';
import type { Keeper } from '../../src/storage/contract.ts';
import { CommitError } from '../../src/storage/transaction.ts';
import { Rig } from './rig.ts';
import { app, gate, ok, refused } from './rig-app.ts';

let rig: Rig;
afterEach(async () => {
  gate.open();
  await rig.stop();
  rig.remove();
  vi.restoreAllMocks();
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
    // Outcomes of keyed and numbered calls need a store; where nothing changed, they are not worth a refusal.
    for (const options of [{}, { key: 'a key' }, { key: 'abcdefghijklmnop:1', ack: 0 }]) {
      expect(await rig.call(session, 'counter', 'c1', 'get', undefined, options)).toEqual(ok(1));
      expect(await rig.call(session, 'counter', 'c1', 'fail', undefined, options)).toEqual(refused('HANDLER', 'no'));
    }
    for (const spy of failing) spy.mockRestore();
    await vi.waitUntil(async () => (await rig.call(session, 'counter', 'c1', 'add', { amount: 1 })).ok, {
      timeout: 5000,
      interval: 50,
    });
    expect(await rig.call(session, 'counter', 'c1', 'get')).toEqual(ok(2));
  });
});

describe('a tenant whose file cannot be written', () => {
  it('adds nothing to the journal, which is for all tenants, by calls that change nothing', async () => {
    let tell: (tenant: string, readOnly: boolean) => void = () => undefined;
    const wrapKeeper = (keeper: Keeper): Keeper => ({ ...keeper, onReadOnly: (handler) => void (tell = handler) });
    rig = new Rig(app, { wrapKeeper });
    const session = rig.session();
    await rig.call(session, 'counter', 'c1', 'add', { amount: 1 });
    tell('t1', true);
    const before = rig.journal.lastSeq;
    for (let n = 1; n <= 3; n += 1) {
      const options = { key: `abcdefghijklmnop:${n}`, ack: n - 1 };
      expect(await rig.call(session, 'counter', 'c1', 'get', undefined, options)).toEqual(ok(1));
    }
    const add = await rig.call(session, 'counter', 'c1', 'add', { amount: 1 }, { key: 'abcdefghijklmnop:4', ack: 3 });
    expect(add).toEqual(refused('READ_ONLY'));
    expect(rig.journal.lastSeq).toBe(before);
    tell('t1', false);
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

  it('finds an item that was taken out of its list, changed and put back', async () => {
    rig = new Rig(app);
    const session = rig.session();
    await rig.call(session, 'counter', 'c1', 'push');
    await rig.call(session, 'counter', 'c1', 'push');
    const changed = await rig.call(session, 'counter', 'c1', 'raiseLast');
    expect(changed).toEqual(ok([{ n: 0 }, { n: 11 }]));
    const { dataDir } = rig;
    await rig.stop();
    rig = new Rig(app, { dataDir });
    expect(await rig.read(rig.session(), 'counter', 'c1')).toMatchObject({ result: { items: [{ n: 0 }, { n: 11 }] } });
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
