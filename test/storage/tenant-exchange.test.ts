import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/host/clock.ts';
import type { JournalEntry } from '../../src/storage/contract.ts';
import { encodeEntries } from '../../src/storage/entry.ts';
import type { KeeperCore } from '../../src/storage/keeper.ts';
import { TenantFile } from '../../src/storage/tenant-file.ts';
import {
  address,
  codeOf,
  okCall,
  openCore,
  openJournal,
  patchEntry,
  stateEntry,
  stateOf,
  temporaryDirectory,
} from './fixtures.ts';

const c1 = address('c1');
const c2 = address('c2');
const elsewhere = address('c1', 'other');

describe('another file in the place of a tenant', () => {
  it('is what is answered from then on, under another epoch, with the former one kept aside', async () => {
    const { dataDir, core } = served();
    const before = core.load(c1);
    const { movedTo } = await core.exchange.exchange({
      tenant: 'acme',
      from: restored('then'),
      replace: true,
      shards: 1,
    });
    const after = core.load(c1);
    expect([before.state, after.state]).toEqual(['"now"', '"then"']);
    expect(after.epoch).not.toBe(before.epoch);
    expect(stateOf(core, elsewhere)).toBe('fine');
    expect(readdirSync(join(dataDir, movedTo!))).toEqual(['tenant.db']);
    core.close();
    expect(stateOf(openCore(dataDir), c1)).toBe('then');
  });

  it('is taken only when every journal has let go of the former one', async () => {
    const { core, journal } = served();
    // Committed, and not handed over: it comes with the fence.
    const late = journal.commit([stateEntry(c1, 7, 'late')], 'durable');
    let fences = 0;
    core.attach(0, {
      synced: (seq) => journal.forget(seq),
      fence: async (forget) => {
        fences += 1;
        if (!forget) core.committed(0, late);
        else journal.flush();
        return journal.forgotten;
      },
    });
    await core.exchange.exchange({ tenant: 'acme', from: restored('then'), replace: true, shards: 1 });
    expect(fences).toBe(2);
    expect(journal.unsyncedRows).toBe(0);
    expect(stateOf(core, c1)).toBe('then');
  });

  it.each([
    ['a journal keeps its rows', async () => 0, /a journal could not be written/],
    ['a shard is away', undefined, /a shard is busy or being started again/],
  ])('is not taken when %s, and the tenant is served as before', async (_, fence, message) => {
    const { core, journal, detach } = served();
    core.committed(0, journal.commit([stateEntry(c1, 7, 'newer')], 'durable'));
    detach();
    core.attach(0, fence === undefined ? {} : { fence });
    const from = restored('then');
    await expect(core.exchange.exchange({ tenant: 'acme', from, replace: true, shards: 1 })).rejects.toThrow(message);
    expect(stateOf(core, c1)).toBe('newer');
    expect(core.exchange.frozen('acme')).toBeUndefined();
    expect(existsSync(join(from, 'tenants/acme/tenant.db'))).toBe(true);
  });

  it('is refused without being asked to replace, and says what would help', async () => {
    const { core } = served();
    await expect(
      core.exchange.exchange({ tenant: 'acme', from: restored('then'), replace: false, shards: 1 }),
    ).rejects.toMatchObject({ message: 'tenant "acme" exists', hint: expect.stringContaining('--replace') });
    expect(stateOf(core, c1)).toBe('now');
  });

  it('comes into an empty place, and ends a quarantine', async () => {
    const { dataDir, core } = served();
    await core.exchange.exchange({ tenant: 'newcomer', from: restored('then', 'newcomer'), replace: false, shards: 1 });
    expect(stateOf(core, address('c1', 'newcomer'))).toBe('then');
    core.quarantineTenant('acme', 'the test says so');
    expect(codeOf(() => core.load(c1))).toBe('QUARANTINED');
    await core.exchange.exchange({ tenant: 'acme', from: restored('then'), replace: true, shards: 1 });
    expect(stateOf(core, c1)).toBe('then');
    expect(readdirSync(join(dataDir, 'tenants/acme'))).not.toContain('QUARANTINED');
  });

  it('never lets an older copy look like a file that lost its end', async () => {
    const { dataDir, core } = served();
    for (let seq = 8; seq < 30; seq += 1) give(core, seq, [stateEntry(c1, seq, seq)]);
    await core.exchange.exchange({ tenant: 'acme', from: restored('then'), replace: true, shards: 1 });
    core.close();
    expect(stateOf(openCore(dataDir), c1)).toBe('then');
  });

  it('holds questions about the tenant meanwhile, and no others', async () => {
    const { core } = served();
    const exchange = core.exchange.exchange({ tenant: 'acme', from: restored('then'), replace: true, shards: 1 });
    expect(core.exchange.frozen('acme')).toBeInstanceOf(Promise);
    expect(core.exchange.frozen('other')).toBeUndefined();
    await expect(
      core.exchange.exchange({ tenant: 'acme', from: restored('then'), replace: true, shards: 1 }),
    ).rejects.toThrow(/being restored already/);
    await exchange;
    expect(core.exchange.frozen('acme')).toBeUndefined();
  });
});

describe('one actor out of another file', () => {
  it('replaces that actor alone, closed off or not', async () => {
    const { core } = served();
    // A gap closes it off.
    give(core, 9, [patchEntry(c1, 40, [{ op: 'replace', path: '', value: 1 }])]);
    expect(codeOf(() => core.load(c1))).toBe('QUARANTINED');
    const actor = { type: 'counter', id: 'c1' };
    await core.exchange.exchange({ tenant: 'acme', from: restored('then'), replace: true, actor, shards: 1 });
    expect([stateOf(core, c1), stateOf(core, c2)]).toEqual(['then', 'second']);
    expect(core.outcome(c1, 'k')).toMatchObject({ outcome: { kind: 'ok', result: '1' } });
    give(core, 10, [stateEntry(c1, 4, 'goes on')]);
    expect(stateOf(core, c1)).toBe('goes on');
  });
});

/** A keeper with a shard that has handed over everything. */
function served() {
  const dataDir = temporaryDirectory();
  const core = openCore(dataDir);
  const journal = openJournal(dataDir);
  const detach = core.attach(0, {
    synced: (seq) => journal.forget(seq),
    fence: async (forget) => {
      if (forget) journal.flush();
      return journal.forgotten;
    },
  });
  const entries = [stateEntry(c1, 5, 'now'), stateEntry(c2, 1, 'second'), stateEntry(elsewhere, 1, 'fine')];
  core.committed(0, journal.commit(entries, 'durable'));
  core.flush();
  return { dataDir, core, journal, detach };
}

/** A directory with the tenant's file as a restore builds it. */
function restored(state: string, tenant = 'acme'): string {
  const dataDir = temporaryDirectory();
  const core = openCore(dataDir);
  give(core, 1, [stateEntry(address('c1', tenant), 3, state, okCall('k', 1))]);
  core.close();
  rmSync(join(dataDir, `tenants/${tenant}/tenant.db-mark`), { force: true });
  writeFileSync(join(dataDir, 'note'), '');
  TenantFile.open(dataDir, tenant, { create: false, nowMs: 0, boot: systemClock.id() })!.close();
  return dataDir;
}

function give(core: KeeperCore, journalSeq: number, entries: readonly JournalEntry[]): void {
  // A shard that has no journal of its own here.
  core.committed(3, { journalSeq, body: encodeEntries(entries) });
  core.flush();
}
