/** A real shard whose right to commit is a lease. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { CommitError } from '../../src/storage/transaction.ts';
import { Rig } from './rig.ts';
import { app, ok, refused } from './rig-app.ts';

let rig: Rig;
afterEach(async () => {
  vi.restoreAllMocks();
  await rig.stop();
  rig.remove();
});

/** Held or not, as the test says; `endsAfter` looks more it is over. */
class Switch {
  held_ = true;
  looksLeft = Number.POSITIVE_INFINITY;

  get held(): boolean {
    if (this.looksLeft <= 0) this.held_ = false;
    this.looksLeft -= 1;
    return this.held_;
  }

  renew(): void {
    this.held_ = true;
    this.looksLeft = Number.POSITIVE_INFINITY;
  }
}

function rowsOnDisk(): number {
  return rig.journal.lastSeq;
}

async function isAccepted(session: number): Promise<boolean> {
  return (await rig.call(session, 'counter', 'other', 'add', { amount: 1 })).ok;
}

describe('a shard with a lease', () => {
  it('commits while it is held', async () => {
    rig = new Rig(app, { lease: new Switch() });
    const session = rig.session();
    expect(await rig.call(session, 'counter', 'c1', 'add', { amount: 2 })).toEqual(ok(2));
  });

  it('refuses what would change something when it is over, and leaves nothing on disk', async () => {
    const lease = new Switch();
    rig = new Rig(app, { lease });
    const session = rig.session();
    await rig.call(session, 'counter', 'c1', 'add', { amount: 1 });
    const before = rowsOnDisk();
    lease.held_ = false;
    expect(await rig.call(session, 'counter', 'c1', 'add', { amount: 5 })).toEqual(refused('READ_ONLY'));
    expect(await rig.call(session, 'counter', 'c1', 'add', { amount: 5 })).toEqual(refused('READ_ONLY'));
    expect(rowsOnDisk()).toBe(before);
    expect(rig.journal.rowsAfter(before)).toEqual([]);
    // What is known here may still be asked for.
    expect(await rig.call(session, 'counter', 'c1', 'get')).toEqual(ok(1));
    lease.renew();
    await vi.waitUntil(() => isAccepted(session), { timeout: 5000, interval: 50 });
    expect(await rig.call(session, 'counter', 'c1', 'get')).toEqual(ok(1));
  });

  it('tells nobody of a commit at whose end it was over, and has it when the lease is back', async () => {
    const lease = new Switch();
    rig = new Rig(app, { lease });
    const session = rig.session();
    rig.subscribe(session, 'counter', 'c1', 'state');
    await rig.call(session, 'counter', 'c1', 'add', { amount: 1 });
    // One look before the transaction, the next after it.
    lease.looksLeft = 1;
    const before = rowsOnDisk();
    expect(await rig.call(session, 'counter', 'c1', 'add', { amount: 5 })).toEqual(refused('UNKNOWN'));
    expect(rowsOnDisk()).toBe(before + 1);
    expect(await rig.call(session, 'counter', 'c1', 'add', { amount: 5 })).toEqual(refused('READ_ONLY'));
    lease.renew();
    await vi.waitUntil(() => isAccepted(session), { timeout: 5000, interval: 50 });
    expect(await rig.call(session, 'counter', 'c1', 'get')).toEqual(ok(6));
  });

  it('answers a repeat of such a call from its outcome, once', async () => {
    const lease = new Switch();
    rig = new Rig(app, { lease });
    const session = rig.session();
    lease.looksLeft = 1;
    const call = async () => await rig.call(session, 'counter', 'c1', 'add', { amount: 5 }, { key: 'k1' });
    expect(await call()).toEqual(refused('UNKNOWN'));
    lease.renew();
    await vi.waitUntil(() => isAccepted(session), { timeout: 5000, interval: 50 });
    expect(await call()).toMatchObject({ ok: true, result: 5 });
    expect(await rig.call(session, 'counter', 'c1', 'get')).toEqual(ok(5));
  });

  it('is not taken for writable again by a probe without it', async () => {
    const lease = new Switch();
    rig = new Rig(app, { lease });
    const journal = rig.journal;
    lease.held_ = false;
    expect(() => journal.probe()).toThrow(CommitError);
    expect(() => journal.probe()).toThrow(/lease is over/);
    lease.renew();
    expect(() => journal.probe()).not.toThrow();
  });
});
