import { afterEach, describe, expect, it, vi } from 'vitest';
import { CommitError } from '../../src/storage/transaction.ts';
import { Rig } from './rig.ts';
import { app, closeGate, gate, ok, refused } from './rig-app.ts';

let rig: Rig;
afterEach(async () => {
  gate.open();
  await rig.stop();
  rig.remove();
  vi.restoreAllMocks();
});

/** The nth call of a client that has every outcome up to `ack`. */
const nth = (n: number, ack = 0, client = 'client-a1') => ({ key: `${client}:${n}`, ack });

function add(session: number, amount: number, numbering: { key: string; ack: number }) {
  return rig.call(session, 'counter', 'c1', 'add', { amount }, numbering);
}

describe('calls that their client numbers', () => {
  it('run once: a repeat gets the outcome, while the call runs and afterwards', async () => {
    rig = new Rig(app);
    const session = rig.session();
    const [first, second] = await Promise.all([add(session, 3, nth(1)), add(session, 3, nth(1))]);
    expect([first, second]).toEqual([ok(3), ok(3)]);
    expect(await add(rig.session(), 3, nth(1))).toEqual(ok(3));
    expect(await add(session, 3, nth(2))).toEqual(ok(6));
    expect(await add(session, 1, nth(1, 0, 'client-b2'))).toEqual(ok(7));
  });

  it('keep their outcomes over a restart, failures too', async () => {
    rig = new Rig(app);
    const session = rig.session();
    await add(session, 3, nth(1));
    const failed = await rig.call(session, 'counter', 'c1', 'fail', undefined, nth(2));
    expect(failed).toEqual(refused('HANDLER', 'no'));
    await rig.stop();
    rig = new Rig(app, { dataDir: rig.dataDir });
    const again = rig.session();
    const answers = await Promise.all([
      add(again, 3, nth(1)),
      rig.call(again, 'counter', 'c1', 'fail', undefined, nth(2)),
      add(again, 4, nth(3)),
      add(again, 4, nth(3)),
    ]);
    expect(answers).toEqual([ok(3), failed, ok(7), ok(7)]);
    // What was found on disk once is found again.
    expect(await add(again, 3, nth(1))).toEqual(ok(3));
    expect(await rig.call(again, 'counter', 'c1', 'get')).toEqual(ok(7));
  });

  it('are not run when the client has said that they ended, in memory and after a restart', async () => {
    rig = new Rig(app);
    const session = rig.session();
    await add(session, 3, nth(1));
    await add(session, 1, nth(5, 4));
    for (const n of [1, 2, 4]) expect(await add(session, 100, nth(n))).toEqual(refused('KEY_REUSED'));
    await rig.stop();
    rig = new Rig(app, { dataDir: rig.dataDir });
    expect(await add(rig.session(), 100, nth(2))).toEqual(refused('KEY_REUSED'));
    expect(await add(rig.session(), 100, nth(5))).toEqual(ok(4));
  });

  it('are answered in their place: a repeat does not overtake the patches that its client asked for before', async () => {
    rig = new Rig(app);
    const session = rig.session();
    rig.subscribe(session, 'counter', 'c1', 'state');
    await add(session, 1, nth(1));
    const { epoch, seq } = rig.framesOf(session).at(-1) as { epoch: string; seq: number };
    closeGate();
    const slow = rig.call(session, 'counter', 'c1', 'slow', undefined, nth(2, 1));
    rig.detach(session);
    const before = rig.seen.length;
    rig.subscribe(session, 'counter', 'c1', 'state', { epoch, seq });
    const repeats = [rig.call(session, 'counter', 'c1', 'slow', undefined, nth(2, 1)), add(session, 1, nth(1))];
    gate.open();
    expect(await Promise.all([slow, ...repeats.slice(0, 1)])).toEqual([ok(2), ok(2)]);
    expect(await repeats[1]).toEqual(refused('KEY_REUSED'));
    const seen = rig.seen.slice(before).map(({ kind }) => kind);
    expect(seen.indexOf('message')).toBeLessThan(seen.lastIndexOf('reply'));
  });

  it('may be made again under their number after a refusal', async () => {
    rig = new Rig(app);
    const session = rig.session();
    expect(await rig.call(session, 'counter', 'c1', 'add', { amount: 'x' }, nth(1))).toEqual(refused('INVALID'));
    expect(await add(session, 2, nth(2))).toEqual(ok(2));
    expect(await add(session, 5, nth(1))).toEqual(ok(7));
  });

  it('run on the successor of an actor that was lost while they waited, once, for all who asked', async () => {
    rig = new Rig(app);
    const session = rig.session();
    await add(session, 1, nth(1));
    vi.spyOn(rig.journal, 'commit').mockImplementationOnce(() => {
      throw new CommitError('rolled-back', rig.journal.path, new Error('full'));
    });
    closeGate();
    const slow = rig.call(session, 'counter', 'c1', 'slow', undefined, nth(2, 1));
    const waiting = [add(session, 10, nth(3, 1)), add(rig.session(), 10, nth(3, 1))];
    // Its commit fails, and every actor in it is dropped while the slow turn waits.
    await rig.read(session, 'counter', 'other');
    await rig.call(session, 'counter', 'other', 'add', { amount: 1 });
    gate.open();
    const outcomes = await Promise.all([slow, ...waiting]);
    expect(outcomes.slice(1)).toEqual([outcomes[1], outcomes[1]]);
    await vi.waitUntil(async () => (await add(session, 10, nth(3, 1))).ok, { timeout: 5000, interval: 50 });
    const { result } = (await rig.call(session, 'counter', 'c1', 'get')) as { result: number };
    expect(result).toBe((outcomes[0] as { ok: boolean }).ok ? 12 : 11);
  });

  it('are found on disk once memory has let go of their client', async () => {
    rig = new Rig(app, { limits: { outcomesInMemoryMax: 2, batchTurnsMax: 2 } });
    const session = rig.session();
    for (let at = 1; at <= 5; at += 1) await add(session, 1, nth(1, 0, `client-${at}x`));
    for (let at = 1; at <= 5; at += 1) expect(await add(session, 1, nth(1, 0, `client-${at}x`))).toEqual(ok(at));
    expect(await rig.call(session, 'counter', 'c1', 'get')).toEqual(ok(5));
  });

  it('are refused while their client never says what it has', async () => {
    rig = new Rig(app);
    const session = rig.session();
    await Promise.all(Array.from({ length: 1024 }, (_, at) => add(session, 1, nth(at + 1))));
    await Promise.all(Array.from({ length: 1024 }, (_, at) => add(session, 1, nth(at + 1025))));
    expect(await add(session, 1, nth(3000))).toEqual(refused('QUOTA'));
    expect(await add(session, 1, nth(2048))).toEqual(ok(2048));
    expect(await add(session, 1, nth(3000, 2000))).toEqual(ok(2049));
  });

  it('run once also when the disk answers later than a turn may take', async () => {
    rig = new Rig(app);
    await add(rig.session(), 1, nth(1));
    await rig.stop();
    const held: (() => void)[] = [];
    rig = new Rig(app, {
      dataDir: rig.dataDir,
      limits: { turnMs: 50 },
      wrapKeeper: (keeper) => ({
        ...keeper,
        numbered: async (address, client) => {
          await new Promise<void>((resolve) => held.push(resolve));
          return await keeper.numbered(address, client);
        },
      }),
    });
    const session = rig.session();
    const two = add(session, 10, nth(2));
    const three = add(session, 100, nth(3));
    expect(await two).toEqual(refused('TURN_TIMEOUT'));
    const again = add(session, 100, nth(3));
    // A call for which the answer comes too late has not begun.
    expect(await three).toEqual(refused('TURN_TIMEOUT'));
    for (const go of held.splice(0)) go();
    await again;
    const { result } = (await add(session, 100, nth(3))) as { result: number };
    expect(result).toBe(101);
    expect(await rig.call(session, 'counter', 'c1', 'get')).toEqual(ok(101));
  });

  it('are bounded in bytes as well, in memory and on disk together', async () => {
    rig = new Rig(app, { limits: { unacknowledgedBytesMax: 20_000, journalBytesMax: 64 * 1024 * 1024 } });
    const session = rig.session();
    await rig.call(session, 'counter', 'c1', 'huge');
    const asked = vi.spyOn(rig.keeper, 'numbered');
    const answers = [];
    for (let n = 1; n <= 12; n += 1) answers.push(await rig.call(session, 'counter', 'c1', 'push', undefined, nth(n)));
    expect(answers.filter(({ ok: went }) => went).length).toBeLessThan(3);
    expect(answers.at(-1)).toEqual(refused('QUOTA'));
    expect(asked.mock.calls.length).toBeLessThanOrEqual(12);
  });
});
