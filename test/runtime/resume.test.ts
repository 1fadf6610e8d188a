import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { actor, createApp } from '../../src/index.ts';
import type { JournalRow } from '../../src/storage/contract.ts';
import { CommitError } from '../../src/storage/transaction.ts';
import { Rig } from './rig.ts';
import { app as counters, ok } from './rig-app.ts';

const room = actor({
  state: z.object({ said: z.number().default(0) }),
  history: { events: 4 },
  events: { said: z.object({ n: z.number() }) },
  methods: {
    say: {
      handler: ({ state, emit }) => {
        state.said += 1;
        emit('said', { n: state.said }).broadcast();
      },
    },
    whisper: {
      input: z.object({ to: z.string() }),
      handler: ({ state, emit, input }) => {
        state.said += 1;
        emit('said', { n: state.said }).to(input.to);
      },
    },
  },
});
const app = createApp({ actors: { room } });

let rig: Rig;
afterEach(async () => {
  await rig.stop();
  rig.remove();
  vi.restoreAllMocks();
});

type Frame = Record<string, unknown>;
const seqs = (frames: readonly Frame[]) => frames.map((frame) => frame['seq']);
const last = (session: number) => {
  const { epoch, seq } = rig.framesOf(session).at(-1) as { epoch: string; seq: number };
  return { epoch, seq };
};

describe('a subscriber of the state that comes back', () => {
  const add = (session: number) => rig.call(session, 'counter', 'c1', 'add', { amount: 1 });

  it('gets the patches that it missed, and nothing when it missed nothing', async () => {
    rig = new Rig(counters);
    const session = rig.session();
    rig.subscribe(session, 'counter', 'c1', 'state');
    await add(session);
    const since = last(session);
    rig.subscribe(session, 'counter', 'c1', 'state', since);
    await rig.read(session, 'counter', 'c1');
    expect(rig.framesOf(session)).toHaveLength(2);
    rig.detach(session);
    const other = rig.session();
    for (let at = 0; at < 3; at += 1) await add(other);
    expect(rig.framesOf(session)).toHaveLength(2);
    rig.subscribe(session, 'counter', 'c1', 'state', since);
    await add(other);
    const missed = rig.framesOf(session).slice(2);
    expect(missed.map((frame) => frame['type'])).toEqual(Array(4).fill('state:patch'));
    expect(seqs(missed)).toEqual([2, 3, 4, 5]);
    expect(missed.map((frame) => (frame['patches'] as { value: number }[])[0]!.value)).toEqual([2, 3, 4, 5]);
  });

  it('gets them over a restart as well, and over eviction', async () => {
    rig = new Rig(counters);
    const session = rig.session();
    rig.subscribe(session, 'counter', 'c1', 'state');
    await add(session);
    const since = last(session);
    for (let at = 0; at < 3; at += 1) await add(session);
    await rig.stop();
    rig = new Rig(counters, { dataDir: rig.dataDir });
    const back = rig.session();
    await add(back);
    rig.subscribe(back, 'counter', 'c1', 'state', since);
    await add(back);
    expect(seqs(rig.framesOf(back))).toEqual([2, 3, 4, 5, 6]);
  });

  it('gets a snapshot of what it cannot be told otherwise: another epoch, too long ago, nobody was watching', async () => {
    rig = new Rig(counters, { limits: { historyTurnsMax: 4, sessionGraceMs: 1 } });
    const session = rig.session();
    rig.subscribe(session, 'counter', 'c1', 'state');
    for (let at = 0; at < 12; at += 1) await add(session);
    const { epoch } = last(session);
    for (const since of [
      { epoch: 'another', seq: 11 },
      { epoch, seq: 2 },
      { epoch, seq: 99 },
    ]) {
      rig.subscribe(session, 'counter', 'c1', 'state', since);
      await rig.read(session, 'counter', 'c1');
      expect(rig.framesOf(session).at(-1)).toMatchObject({ type: 'state:snapshot', seq: 12, epoch });
    }
    rig.unsubscribe(session, 'counter', 'c1', 'state');
    await new Promise((resolve) => setTimeout(resolve, 5));
    await add(session);
    rig.subscribe(session, 'counter', 'c1', 'state', { epoch, seq: 12 });
    await rig.read(session, 'counter', 'c1');
    expect(rig.framesOf(session).at(-1)).toMatchObject({ type: 'state:snapshot', seq: 13 });
  });

  it('of an actor that lives in memory only starts anew when that was lost', async () => {
    rig = new Rig(counters, { limits: { actorIdleMs: 1 } });
    const session = rig.session();
    rig.subscribe(session, 'fleeting', 'f', 'state');
    await rig.call(session, 'fleeting', 'f', 'add');
    const since = last(session);
    await rig.stop();
    rig = new Rig(counters, { dataDir: rig.dataDir });
    const back = rig.session();
    await rig.call(back, 'fleeting', 'f', 'add');
    rig.subscribe(back, 'fleeting', 'f', 'state', since);
    await rig.read(back, 'fleeting', 'f');
    expect(rig.framesOf(back)).toEqual([expect.objectContaining({ type: 'state:snapshot', state: { count: 1 } })]);
  });
});

describe('a client of the base set', () => {
  it('hears of no numbers, and is not resumed', async () => {
    rig = new Rig(app);
    const [plain, full] = [rig.session({ additions: false }), rig.session()];
    for (const session of [plain, full]) {
      rig.subscribe(session, 'room', 'r', 'state');
      rig.subscribe(session, 'room', 'r', 'event', { epoch: 'x', seq: 0 });
    }
    await rig.call(full, 'room', 'r', 'say');
    await rig.call(full, 'room', 'r', 'whisper', { to: 'nobody' });
    const address = { actor: 'room', actorId: 'r' };
    expect(rig.framesOf(plain)).toEqual([
      { type: 'state:snapshot', ...address, state: { said: 0 } },
      { type: 'state:patch', ...address, patches: [{ op: 'replace', path: '/said', value: 1 }] },
      { type: 'event', ...address, event: 'said', payload: { n: 1 } },
      { type: 'state:patch', ...address, patches: [{ op: 'replace', path: '/said', value: 2 }] },
    ]);
    expect(rig.framesOf(full).map((frame) => frame['type'])).toEqual([
      'state:snapshot',
      'event:position',
      'state:patch',
      'event',
      'state:patch',
    ]);
  });
});

describe('a subscriber of events that comes back', () => {
  const say = (session: number) => rig.call(session, 'room', 'r', 'say');
  const positionOf = (session: number) => {
    const { epoch, seq } = rig.framesOf(session).find((frame) => frame['type'] === 'event:position') as {
      epoch: string;
      seq: number;
    };
    return { epoch, seq };
  };
  const payloads = (session: number) =>
    rig
      .framesOf(session)
      .filter((frame) => frame['type'] === 'event')
      .map((frame) => (frame['payload'] as { n: number }).n);

  it('gets what it missed and was meant for it, in order and once, over a restart', async () => {
    rig = new Rig(app);
    const session = rig.session({ clientId: 'me' });
    rig.subscribe(session, 'room', 'r', 'event');
    await say(session);
    const since = { ...positionOf(session), seq: 1 };
    rig.detach(session);
    await rig.call(session, 'room', 'r', 'whisper', { to: 'somebody' });
    await rig.call(session, 'room', 'r', 'whisper', { to: 'me' });
    await rig.stop();
    rig = new Rig(app, { dataDir: rig.dataDir });
    const back = rig.session({ clientId: 'me' });
    await say(back);
    rig.subscribe(back, 'room', 'r', 'event', since);
    await say(back);
    expect(rig.framesOf(back)[0]).toMatchObject({ type: 'event:position', seq: 1, gap: false });
    expect(payloads(back)).toEqual([3, 4, 5]);
    expect(seqs(rig.framesOf(back).slice(1))).toEqual([3, 4, 5]);
  });

  it('is told of a gap, and gets what is kept', async () => {
    rig = new Rig(app);
    const session = rig.session();
    rig.subscribe(session, 'room', 'r', 'event');
    await say(session);
    const since = positionOf(session);
    rig.detach(session);
    for (let at = 0; at < 20; at += 1) await say(session);
    rig.subscribe(session, 'room', 'r', 'event', { ...since, seq: 1 });
    await say(session);
    const [position, ...events] = rig.framesOf(session).slice(2);
    expect(position).toMatchObject({ type: 'event:position', gap: true });
    const { seq } = position as { seq: number };
    expect(seq).toBeGreaterThan(1);
    expect(seqs(events)).toEqual(Array.from({ length: 22 - seq }, (_, at) => seq + 1 + at));
    expect(events.length).toBeGreaterThanOrEqual(4);
  });

  it('hears only new ones when it says nothing of where it was, or speaks of another epoch', async () => {
    rig = new Rig(app);
    const session = rig.session();
    await say(session);
    rig.subscribe(session, 'room', 'r', 'event');
    rig.subscribe(session, 'room', 'r', 'event', { epoch: 'another', seq: 0 });
    expect(await say(session)).toEqual(ok(undefined));
    const [first, second, event] = rig.framesOf(session);
    expect(first).toMatchObject({ type: 'event:position', seq: 1, gap: false });
    expect(second).toMatchObject({ type: 'event:position', seq: 1, gap: true });
    expect(event).toMatchObject({ type: 'event', seq: 2 });
  });

  it('gets what it missed also when the commit that carried it to it failed', async () => {
    rig = new Rig(app);
    const [writer, session] = [rig.session(), rig.session()];
    rig.subscribe(session, 'room', 'r', 'event');
    await say(writer);
    const since = { ...positionOf(session), seq: 1 };
    rig.detach(session);
    for (let at = 0; at < 2; at += 1) await say(writer);
    vi.spyOn(rig.journal, 'commit').mockImplementationOnce(() => {
      throw new CommitError('rolled-back', rig.journal.path, new Error('full'));
    });
    rig.subscribe(session, 'room', 'r', 'event', since);
    await say(writer);
    await vi.waitUntil(async () => (await say(writer)).ok, { timeout: 5000, interval: 50 });
    await rig.read(session, 'room', 'r');
    expect(payloads(session)).toEqual([1, 2, 3, 4]);
  });

  it('that never left gets the events of a commit that turned out to be on disk', async () => {
    rig = new Rig(app);
    const [writer, session] = [rig.session(), rig.session()];
    rig.subscribe(session, 'room', 'r', 'event');
    await say(writer);
    const commit = rig.journal.commit.bind(rig.journal);
    const rows: JournalRow[] = [];
    vi.spyOn(rig.journal, 'commit').mockImplementationOnce((entries, durability) => {
      rows.push(commit(entries, durability));
      throw new CommitError('unknown', rig.journal.path, new Error('io'));
    });
    vi.spyOn(rig.journal, 'reopen').mockImplementationOnce(() => rows);
    expect(await say(writer)).toMatchObject({ ok: false });
    await vi.waitUntil(async () => (await say(writer)).ok, { timeout: 5000, interval: 50 });
    expect(payloads(session)).toEqual([1, 2, 3]);
  });
});
