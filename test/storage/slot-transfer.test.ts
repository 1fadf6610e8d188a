import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { slotOf } from '../../src/protocol/placement.ts';
import type { KeeperCore } from '../../src/storage/keeper.ts';
import { listTenants } from '../../src/storage/inspect.ts';
import { address, codeOf, openCore, openJournal, stateEntry, stateOf, temporaryDirectory } from './fixtures.ts';

const slots = 64;
const slot = slotOf('acme', slots);
const beside = Array.from({ length: 1000 }, (_, n) => `t${n}`).find((tenant) => slotOf(tenant, slots) === slot)!;
const c1 = address('c1');
const elsewhere = address('c1', 'other');

describe('a slot that is given away', () => {
  it('leaves with all of its tenants, and with what was committed and not handed over', async () => {
    const { dataDir, core, journal, left } = served();
    const late = journal.commit([stateEntry(c1, 7, 'late')], 'durable');
    core.attach(0, {
      synced: (seq) => journal.forget(seq),
      left: (...name) => void left.push(name),
      fence: async (forget) => {
        if (!forget) core.committed(0, late);
        else journal.flush();
        return journal.forgotten;
      },
    });
    const to = join(dataDir, `outgoing/${slot}-5`);
    const tenants = await core.transfer.giveAway({ slot, slots, to, shards: 1 });
    expect(tenants).toEqual(['acme', beside].toSorted());
    expect(left).toEqual([[slot, slots]]);
    expect(journal.unsyncedRows).toBe(0);
    expect(listTenants(dataDir).map(({ tenant }) => tenant)).toEqual(['other']);
    core.close();
    expect(existsSync(join(to, 'tenants/acme/tenant.db-wal'))).toBe(false);
    // What lies there is laid out as a data directory, and whole without a journal.
    expect(stateOf(openCore(to), c1)).toBe('late');
  });

  it('is neither answered for nor begun anew by what comes late', async () => {
    const { dataDir, core } = served();
    await core.transfer.giveAway({ slot, slots, to: join(dataDir, 'outgoing/1-1'), shards: 1 });
    expect(codeOf(() => core.load(c1))).toBe('OVERLOADED');
    core.putSessions([
      {
        tenant: 'acme',
        sessionId: 's',
        clientId: 'c',
        userId: null,
        status: 'active',
        reason: '',
        boot: 'boot-1',
        connectedMs: 1,
        seenMs: 1,
      },
    ]);
    core.flush();
    expect(readdirSync(join(dataDir, 'tenants'))).toEqual(['other']);
    expect(stateOf(core, elsewhere)).toBe('fine');
  });

  it('comes back as it was, under the same epoch', async () => {
    const { dataDir, core } = served();
    const before = core.load(c1);
    const to = join(dataDir, 'outgoing/1-1');
    await core.transfer.giveAway({ slot, slots, to, shards: 1 });
    const welcomed = await core.transfer.welcome({ slot, slots, from: [to], shards: 1 });
    expect(welcomed).toEqual({ tenants: ['acme', beside].toSorted(), aside: [] });
    expect(core.load(c1)).toEqual(before);
    core.committed(0, { journalSeq: 90, body: '' });
    // A second time there is nothing to do.
    expect(await core.transfer.welcome({ slot, slots, from: [to], shards: 1 })).toEqual({ tenants: [], aside: [] });
  });

  it('is refused while one of its tenants is quarantined, and served as before', async () => {
    const { dataDir, core } = served();
    core.quarantineTenant(beside, 'the test says so');
    await expect(core.transfer.giveAway({ slot, slots, to: join(dataDir, 'outgoing/1-1'), shards: 1 })).rejects.toThrow(
      `tenant "${beside}" is quarantined (the test says so)`,
    );
    expect(stateOf(core, c1)).toBe('now');
  });

  it('stays whole when a shard is away', async () => {
    const { dataDir, core, detach } = served();
    detach();
    const to = join(dataDir, 'outgoing/1-1');
    await expect(core.transfer.giveAway({ slot, slots, to, shards: 1 })).rejects.toThrow(/a shard is busy/);
    expect(readdirSync(join(dataDir, 'tenants'))).toHaveLength(3);
    // Until somebody says that it is served again.
    expect(codeOf(() => core.load(c1))).toBe('OVERLOADED');
    await core.transfer.welcome({ slot, slots, from: [to], shards: 1 });
    expect(stateOf(core, c1)).toBe('now');
  });
});

describe('a slot that is welcomed', () => {
  it('takes the place of what lay there, which is kept aside', async () => {
    const there = served();
    const to = join(there.dataDir, 'outgoing/1-1');
    await there.core.transfer.giveAway({ slot, slots, to, shards: 1 });
    const here = served('here');
    const { aside } = await here.core.transfer.welcome({ slot, slots, from: [to], shards: 1 });
    expect(stateOf(here.core, c1)).toBe('now');
    expect(aside).toHaveLength(2);
    for (const place of aside) expect(readdirSync(join(here.dataDir, place))).toContain('tenant.db');
  });

  it('ends a quarantine of what lay there', async () => {
    const there = served();
    const to = join(there.dataDir, 'outgoing/1-1');
    await there.core.transfer.giveAway({ slot, slots, to, shards: 1 });
    const here = served('here');
    here.core.quarantineTenant('acme', 'the test says so');
    await here.core.transfer.welcome({ slot, slots, from: [to], shards: 1 });
    expect(stateOf(here.core, c1)).toBe('now');
  });

  it('takes no tenant of another slot', async () => {
    const { dataDir, core } = served();
    const from = join(dataDir, 'incoming/1-1');
    mkdirSync(join(from, 'tenants/other'), { recursive: true });
    await expect(core.transfer.welcome({ slot, slots, from: [from], shards: 1 })).rejects.toThrow(/is not one of slot/);
    expect(stateOf(core, elsewhere)).toBe('fine');
  });
});

/** A keeper with a shard that has handed over everything: two tenants of the slot, and one of another. */
function served(state = 'now') {
  const dataDir = temporaryDirectory();
  const core: KeeperCore = openCore(dataDir);
  const journal = openJournal(dataDir);
  const left: [number, number][] = [];
  const detach = core.attach(0, {
    synced: (seq) => journal.forget(seq),
    left: (...name) => void left.push(name),
    fence: async (forget) => {
      if (forget) journal.flush();
      return journal.forgotten;
    },
  });
  const entries = [
    stateEntry(c1, 5, state),
    stateEntry(address('c1', beside), 1, 'beside'),
    stateEntry(elsewhere, 1, 'fine'),
  ];
  core.committed(0, journal.commit(entries, 'durable'));
  core.flush();
  return { dataDir, core, journal, left, detach };
}
