import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { actor, createApp, presence } from '../../src/index.ts';
import { CommitError } from '../../src/storage/transaction.ts';
import { Rig } from './rig.ts';
import { ok, refused } from './rig-app.ts';

const room = actor({
  state: z.object({
    online: z.record(z.string(), z.object({ name: z.string() })).default({}),
    /** Everything that the hooks did, in order. */
    seen: z.array(z.string()).default([]),
    /** Who was there when somebody left. */
    left: z.array(z.array(z.string())).default([]),
  }),
  onConnect: (context) => {
    here.onConnect(context);
    context.state.seen.push(`+${context.clientId}`);
  },
  onDisconnect: (context) => {
    here.onDisconnect(context);
    context.state.left.push([...context.clients]);
    context.state.seen.push(`-${context.clientId}`);
  },
  methods: {
    look: { handler: ({ state, clients }) => ({ ...state, clients: [...clients].sort() }) },
    touch: { handler: ({ state }) => void state.seen.push('touched') },
  },
});
const here = presence('online', ({ clientId, userId }) => ({ name: userId ?? clientId }));
const app = createApp({ actors: { room } });

let rig: Rig;
afterEach(async () => {
  await rig.stop();
  rig.remove();
  vi.restoreAllMocks();
});

const look = (session: number) => rig.call(session, 'room', 'r', 'look');

/** The process dies: nothing is told goodbye, what is committed stays. */
async function crash(options: { restarted?: boolean } = {}): Promise<void> {
  const { dataDir } = rig;
  await rig.abandon();
  rig = new Rig(app, { dataDir, ...options });
}

describe('a client that was connected when the process died', () => {
  it('is told goodbye exactly once, before the first call', async () => {
    rig = new Rig(app);
    await look(rig.session({ clientId: 'a', userId: 'ann' }));
    await crash();
    const first = rig.session({ clientId: 'b' });
    const shown = { online: { b: { name: 'b' } }, seen: ['+a', '-a', '+b'], left: [[]], clients: ['b'] };
    expect(await look(first)).toEqual(ok(shown));
    await crash();
    const second = await look(rig.session({ clientId: 'c' }));
    expect(second).toMatchObject({ result: { seen: ['+a', '-a', '+b', '-b', '+c'] } });
  });

  it('is told so with its own name, also when nobody calls', async () => {
    rig = new Rig(app);
    await look(rig.session({ clientId: 'a', userId: 'ann' }));
    await crash();
    await rig.keeper.closeStale(1);
    await vi.waitUntil(() => rig.keeper.load({ tenant: 't1', type: 'room', id: 'r' }).visitors.length === 0);
    expect(rig.keeper.load({ tenant: 't1', type: 'room', id: 'r' }).state).toBe(
      '{"online":{},"seen":["+a","-a"],"left":[[]]}',
    );
  });
});

describe('a client whose shard died', () => {
  it('stays connected when its gateway still has it, and is told goodbye when not', async () => {
    rig = new Rig(app);
    const [a, b] = [
      { clientId: 'a', sessionId: 'session-a' },
      { clientId: 'b', sessionId: 'session-b' },
    ];
    for (const info of [a, b]) await look(rig.session(info));
    await crash({ restarted: true });
    const again = rig.session(a);
    const looked = look(again);
    rig.present([again]);
    expect(await looked).toEqual(
      ok({ online: { a: { name: 'a' } }, seen: ['+a', '+b', '-b'], left: [['a']], clients: ['a'] }),
    );
    rig.end(again);
    const other = await look(rig.session({ clientId: 'c' }));
    expect(other).toMatchObject({ result: { seen: ['+a', '+b', '-b', '-a', '+c'] } });
  });
});

describe('a session', () => {
  it('that loses its connection is still there for the others, hears nothing, and ends once', async () => {
    rig = new Rig(app);
    const [a, b] = [rig.session({ clientId: 'a' }), rig.session({ clientId: 'b' })];
    rig.subscribe(a, 'room', 'r', 'state');
    await look(b);
    rig.detach(a);
    const heard = rig.framesOf(a).length;
    await rig.call(b, 'room', 'r', 'touch');
    expect(rig.framesOf(a)).toHaveLength(heard);
    expect(await look(b)).toMatchObject({ result: { clients: ['a', 'b'] } });
    rig.end(a);
    rig.end(a);
    expect(await look(b)).toMatchObject({ result: { seen: ['+a', '+b', 'touched', '-a'], clients: ['b'] } });
  });

  it('goes on under another number without anybody noticing', async () => {
    rig = new Rig(app);
    const info = { clientId: 'a', sessionId: 'session-a' };
    const first = rig.session(info);
    rig.subscribe(first, 'room', 'r', 'state');
    await look(first);
    const second = rig.session(info);
    expect(await look(second)).toMatchObject({ result: { seen: ['+a'], clients: ['a'] } });
    await rig.call(second, 'room', 'r', 'touch');
    expect(rig.framesOf(first)).toHaveLength(1);
    // What the old gateway sent before it knew is answered, and not run.
    expect(await rig.call(first, 'room', 'r', 'touch')).toEqual(refused('UNKNOWN'));
    rig.end(first);
    expect(await look(second)).toMatchObject({ result: { seen: ['+a', 'touched'], clients: ['a'] } });
    rig.present([]);
    const other = rig.session({ clientId: 'b' });
    expect(await look(other)).toMatchObject({ result: { seen: ['+a', 'touched', '-a', '+b'] } });
  });

  it('that leaves with its actors is told nothing any more, and no hook runs and nothing is written', async () => {
    rig = new Rig(app);
    const [a, b] = [rig.session({ clientId: 'a', sessionId: 'session-a' }), rig.session({ clientId: 'b' })];
    rig.subscribe(a, 'room', 'r', 'state');
    await look(b);
    const heard = rig.framesOf(a).length;
    const rows = rig.journal.unsyncedRows;
    rig.leave(a);
    rig.leave(a);
    expect(await look(b)).toMatchObject({ result: { seen: ['+a', '+b'], clients: ['b'] } });
    expect(rig.journal.unsyncedRows).toBeLessThanOrEqual(rows);
    await rig.call(b, 'room', 'r', 'touch');
    expect(rig.framesOf(a)).toHaveLength(heard);
    // On record it is still there: its visit ends where its actor is now.
    await vi.waitUntil(() => rig.journal.unsyncedRows === 0, { timeout: 5000 });
    const { visitors } = rig.keeper.load({ tenant: 't1', type: 'room', id: 'r' });
    expect(visitors.map(({ clientId }) => clientId)).toEqual(['a', 'b']);
    // What is still on its way of it is answered, and not run.
    expect(await rig.call(a, 'room', 'r', 'touch')).toEqual(refused('UNKNOWN'));
  });

  it('that asked for a subscription on a connection that is gone gets none', async () => {
    rig = new Rig(app);
    const session = rig.session({ clientId: 'a' });
    rig.subscribe(session, 'room', 'r', 'state');
    rig.detach(session);
    await look(rig.session({ clientId: 'b' }));
    expect(rig.framesOf(session)).toEqual([]);
  });

  it('that ends while its actor is not in memory is not among the clients any more when it is told goodbye', async () => {
    rig = new Rig(app, { limits: { actorIdleMs: 1 } });
    const session = rig.session({ clientId: 'a' });
    await look(session);
    await vi.waitUntil(() => rig.shard.actorsInMemory === 0, { timeout: 5000 });
    rig.end(session);
    expect(await look(rig.session({ clientId: 'b' }))).toMatchObject({
      result: { seen: ['+a', '-a', '+b'], left: [[]], clients: ['b'] },
    });
  });
});

describe('hooks of other kinds of types', () => {
  const state = z.object({ count: z.number().default(0) });
  const methods = { add: { handler: ({ state: draft }: { state: { count: number } }) => (draft.count += 1) } };

  it('that live in memory run once, whatever commit of others is lost', async () => {
    const seen: string[] = [];
    const lounge = actor({
      state,
      methods,
      durability: 'memory',
      onConnect: ({ clientId }) => void seen.push(`+${clientId}`),
      onDisconnect: ({ clientId }) => void seen.push(`-${clientId}`),
    });
    rig = new Rig(createApp({ actors: { lounge, counter: actor({ state, methods }) } }));
    const [a, b] = [rig.session({ clientId: 'a' }), rig.session({ clientId: 'b' })];
    for (const session of [a, b]) await rig.call(session, 'lounge', 'l', 'add');
    rig.end(a);
    vi.spyOn(rig.journal, 'commit').mockImplementationOnce(() => {
      throw new CommitError('rolled-back', rig.journal.path, new Error('full'));
    });
    expect(await rig.call(b, 'counter', 'c', 'add')).toEqual(refused('READ_ONLY'));
    // Hooks that were put off run as soon as the store works again.
    await vi.waitUntil(async () => (await rig.call(b, 'counter', 'c', 'add')).ok, { timeout: 5000, interval: 50 });
    expect(await rig.call(b, 'lounge', 'l', 'add')).toEqual(ok(3));
    expect(seen).toEqual(['+a', '+b', '-a']);
  });

  it('that a newer app has taken away leave nobody on record', async () => {
    rig = new Rig(createApp({ actors: { room: actor({ state, methods, onConnect: () => undefined }) } }));
    await rig.call(rig.session(), 'room', 'r', 'add');
    const { dataDir } = rig;
    await rig.abandon();
    rig = new Rig(createApp({ actors: { room: actor({ state, methods }) } }), { dataDir });
    expect(await rig.call(rig.session(), 'room', 'r', 'add')).toEqual(ok(2));
    expect(rig.keeper.load({ tenant: 't1', type: 'room', id: 'r' }).visitors).toEqual([]);
  });

  it('that say goodbye to memory say it once, also when room is wanted at that moment', async () => {
    const seen: string[] = [];
    let letGo = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const hall = actor({
      state,
      methods,
      onActivate: ({ actorId }) => void seen.push(`+${actorId}`),
      onDeactivate: async ({ actorId }) => {
        await held;
        seen.push(`-${actorId}`);
      },
    });
    rig = new Rig(createApp({ actors: { hall } }), { limits: { shardActorsMax: 1 } });
    const session = rig.session();
    await rig.call(session, 'hall', 'a', 'add');
    expect(await rig.call(session, 'hall', 'b', 'add')).toEqual(refused('OVERLOADED'));
    letGo();
    // Between the hook's end and its commit.
    for (let n = 0; n < 5; n += 1) {
      await Promise.resolve();
      void rig.call(session, 'hall', 'b', 'add');
    }
    await vi.waitUntil(async () => (await rig.call(session, 'hall', 'b', 'add')).ok, { timeout: 5000, interval: 50 });
    expect(seen).toEqual(['+a', '-a', '+b']);
  });
});
