import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { actor, AppError, createApp } from '../../src/index.ts';
import { CommitError } from '../../src/storage/transaction.ts';
import { Rig } from './rig.ts';
import { ok, refused } from './rig-app.ts';

/** A promise that the test settles. */
function pause() {
  let go: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    go = resolve;
  });
  return { done, go: () => go() };
}

let leaving = pause();
let arriving = pause();
const entered: string[] = [];
const shared = { color: 'red' };
const state = z.object({
  log: z.array(z.string()).default([]),
  err: z.object({ why: z.string() }).default({ why: 'x' }),
});

const room = actor({
  state,
  methods: {
    add: {
      input: z.string(),
      handler: ({ state, input }) => {
        state.log.push(input);
        return [...state.log];
      },
    },
    slowAdd: {
      input: z.string(),
      handler: async ({ state, input }) => {
        entered.push(input);
        await new Promise((resolve) => setTimeout(resolve, 20));
        state.log.push(input);
        return [...state.log];
      },
    },
    get: { handler: ({ state }) => state.log },
  },
  onConnect: async ({ clientId }) => {
    if (!clientId.startsWith('slow')) return;
    entered.push(clientId);
    await arriving.done;
  },
  onDisconnect: ({ state, clientId }) => {
    state.log.push(`left ${clientId}`);
  },
  onDeactivate: async () => {
    entered.push('deactivate');
    await leaving.done;
  },
});

class Hostile {
  get message(): string {
    throw new Error('do not look');
  }
}

const thrower = actor({
  state,
  methods: {
    draft: {
      handler: ({ state }) => {
        // oxlint-disable-next-line only-throw-error
        throw state.err;
      },
    },
    draftLater: {
      handler: async ({ state }) => {
        await Promise.resolve();
        // oxlint-disable-next-line only-throw-error
        throw state.err;
      },
    },
    getter: {
      handler: () => {
        // oxlint-disable-next-line only-throw-error
        throw Object.create(Error.prototype, Object.getOwnPropertyDescriptors(Hostile.prototype));
      },
    },
    nothing: {
      handler: () => {
        // oxlint-disable-next-line only-throw-error
        throw Object.create(null);
      },
    },
    bigint: {
      handler: () => {
        throw new AppError('MINE', 'mine', { retryAfterMs: 5n as unknown as number });
      },
    },
    thenable: {
      handler: () => ({
        // oxlint-disable-next-line no-thenable
        then() {
          throw new Error('no promise');
        },
      }),
    },
    share: {
      handler: ({ state }) => {
        Object.assign(state, { err: Object.assign(shared, { why: 'shared' }) });
      },
    },
    paint: {
      handler: ({ state }) => {
        state.err.why = 'painted';
        return shared;
      },
    },
    get: { handler: ({ state }) => state.err },
  },
});

const ajar = actor({
  state,
  methods: {
    odd: {
      input: {
        '~standard': {
          version: 1,
          vendor: 'test',
          validate: () => {
            throw new Error('the password is hunter2');
          },
        },
      },
      handler: () => 1,
    },
  },
  authorize: ({ claims }) => claims['admin'] as boolean,
});

const fleeting = actor({
  state: z.object({ count: z.number().default(0) }),
  durability: 'memory',
  methods: { add: { handler: ({ state }) => (state.count += 1) } },
});

const app = createApp({ actors: { room, thrower, ajar, fleeting } });

let rig: Rig;
afterEach(async () => {
  leaving.go();
  arriving.go();
  await rig.stop();
  rig.remove();
  vi.restoreAllMocks();
  [leaving, arriving] = [pause(), pause()];
  entered.length = 0;
});

function failNextCommit(outcome: 'unknown' | 'rolled-back' = 'rolled-back') {
  return vi.spyOn(rig.journal, 'commit').mockImplementationOnce(() => {
    throw new CommitError(outcome, rig.journal.path, new Error('disk'));
  });
}

describe('an actor that is leaving memory', () => {
  it('takes nothing more after its onDeactivate: what comes meanwhile is for its successor, and nothing is lost', async () => {
    rig = new Rig(app, { limits: { actorIdleMs: 1 } });
    const session = rig.session();
    await rig.call(session, 'room', 'r', 'add', 'first');
    await vi.waitUntil(() => entered.includes('deactivate'), { timeout: 5000 });
    const calls = [rig.call(session, 'room', 'r', 'slowAdd', 'slow'), rig.call(session, 'room', 'r', 'add', 'second')];
    leaving.go();
    expect(await Promise.all(calls)).toEqual([ok(['first', 'slow']), ok(['first', 'slow', 'second'])]);
    const { dataDir } = rig;
    await rig.stop();
    rig = new Rig(app, { dataDir });
    expect(await rig.call(rig.session(), 'room', 'r', 'get')).toEqual(
      ok(expect.arrayContaining(['first', 'slow', 'second'])),
    );
  });
});

describe('a commit that fails', () => {
  it('while a hook waits: no handler runs on the dropped actor, and what was acknowledged stays', async () => {
    rig = new Rig(app);
    const [fast, slow] = [rig.session({ clientId: 'fast' }), rig.session({ clientId: 'slow' })];
    expect(await rig.call(fast, 'room', 'r', 'add', 'first')).toEqual(ok(['first']));
    failNextCommit();
    const lost = rig.call(fast, 'room', 'r', 'add', 'lost');
    const late = rig.call(slow, 'room', 'r', 'add', 'late');
    expect(await lost).toEqual(refused('READ_ONLY'));
    expect(await late).toEqual(refused('UNKNOWN'));
    arriving.go();
    await vi.waitUntil(async () => (await rig.call(fast, 'room', 'r', 'add', 'third')).ok, {
      timeout: 5000,
      interval: 100,
    });
    leaving.go();
    const { dataDir } = rig;
    await rig.stop();
    rig = new Rig(app, { dataDir });
    const log = await rig.call(rig.session(), 'room', 'r', 'get');
    expect(log.ok && (log.result as string[]).filter((line) => !line.startsWith('left'))).toEqual(['first', 'third']);
  });

  it('does not cost a subscriber its first snapshot', async () => {
    rig = new Rig(app);
    const session = rig.session();
    await rig.call(rig.session(), 'room', 'r', 'add', 'first');
    failNextCommit();
    rig.subscribe(session, 'room', 'r', 'state');
    await rig.call(rig.session(), 'room', 'r', 'add', 'lost');
    await vi.waitUntil(() => rig.framesOf(session).length > 0);
    expect(rig.framesOf(session)).toEqual([
      expect.objectContaining({
        type: 'state:snapshot',
        state: expect.objectContaining({ log: ['first'] }) as unknown,
      }),
    ]);
  });

  it('does not lose an onDisconnect: it runs again when the store works', async () => {
    rig = new Rig(app);
    const [a, b] = [rig.session({ clientId: 'a' }), rig.session({ clientId: 'b' })];
    await rig.call(a, 'room', 'r', 'add', 'first');
    failNextCommit();
    rig.end(a);
    const seen = async () => {
      const reply = await rig.call(b, 'room', 'r', 'get');
      return reply.ok ? (reply.result as string[]) : [];
    };
    await vi.waitUntil(async () => (await seen()).includes('left a'), { timeout: 8000, interval: 100 });
    expect(await seen()).toEqual(['first', 'left a']);
  });

  it('is no concern of actors that live in memory', async () => {
    rig = new Rig(app);
    const session = rig.session();
    await rig.call(session, 'fleeting', 'f', 'add');
    await rig.call(session, 'room', 'r', 'get');
    failNextCommit();
    const both = [rig.call(session, 'room', 'r', 'add', 'lost'), rig.call(session, 'fleeting', 'f', 'add')];
    expect(await Promise.all(both)).toEqual([refused('READ_ONLY'), ok(2)]);
    expect(await rig.call(session, 'fleeting', 'f', 'add')).toEqual(ok(3));
  });
});

describe('an author who throws odd things', () => {
  it.each([
    ['draft', 'HANDLER'],
    ['draftLater', 'HANDLER'],
    ['getter', 'HANDLER'],
    ['nothing', 'HANDLER'],
    ['bigint', 'MINE'],
    ['thenable', 'HANDLER'],
  ])('gets an answer for "%s", and the actor goes on', async (method, code) => {
    rig = new Rig(app);
    const session = rig.session();
    expect(await rig.call(session, 'thrower', 't', method)).toEqual(refused(code));
    expect(await rig.call(session, 'thrower', 't', 'get')).toEqual(ok({ why: 'x' }));
  });

  it('tells no client what a broken schema said', async () => {
    rig = new Rig(app);
    const reply = await rig.call(rig.session(), 'ajar', 'a', 'odd', {});
    expect(reply).toEqual(refused('INTERNAL'));
    expect(JSON.stringify(reply)).not.toContain('hunter2');
  });
});

describe('a state', () => {
  it('is its own: an object that the author keeps is copied in', async () => {
    rig = new Rig(app);
    const session = rig.session();
    await rig.call(session, 'thrower', 'one', 'share');
    await rig.call(session, 'thrower', 'two', 'share');
    expect(await rig.call(session, 'thrower', 'one', 'paint')).toEqual(ok({ color: 'red', why: 'shared' }));
    expect(await rig.call(session, 'thrower', 'two', 'get')).toEqual(ok({ color: 'red', why: 'shared' }));
  });

  it('is shown only where authorize returns true', async () => {
    rig = new Rig(app);
    expect(await rig.read(rig.session(), 'ajar', 'a')).toEqual(refused('FORBIDDEN'));
    expect(await rig.read(rig.session({ claims: { admin: 'yes' } }), 'ajar', 'a')).toEqual(refused('FORBIDDEN'));
    expect(await rig.read(rig.session({ claims: { admin: true } }), 'ajar', 'a')).toEqual(ok(expect.anything()));
  });
});
