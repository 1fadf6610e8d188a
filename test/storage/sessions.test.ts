import Database from 'better-sqlite3';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { shardOf } from '../../src/protocol/placement.ts';
import type { SessionRecord } from '../../src/storage/contract.ts';
import { encodeEntries } from '../../src/storage/entry.ts';
import { listSessions } from '../../src/storage/inspect.ts';
import type { KeeperCore } from '../../src/storage/keeper.ts';
import {
  address,
  clockAt,
  openCore,
  stateOf,
  stateEntry,
  temporaryDirectory,
  trailEntry,
  visitorOf,
} from './fixtures.ts';

describe('records of sessions', () => {
  it('are written per tenant with the next round, the latest of each session', () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir, {}, clockAt(10));
    core.putSessions([
      record('s1', 1),
      record('s2', 2),
      record('s1', 5, { status: 'detached' }),
      record('s3', 3, { tenant: 'b-2' }),
    ]);
    core.flush();
    // One gateway may tell late what another has told of since.
    core.putSessions([record('s1', 4, { status: 'active' })]);
    core.flush();
    expect(listSessions(dataDir, 'acme').map(({ sessionId, status }) => `${sessionId} ${status}`)).toEqual([
      's2 active',
      's1 detached',
    ]);
    const { tenant, ...stored } = record('s3', 3, { tenant: 'b-2' });
    expect(listSessions(dataDir, tenant)).toEqual([stored]);
  });

  it('of ended sessions go when their time is over', () => {
    const dataDir = temporaryDirectory();
    const clock = clockAt(1000);
    const core = openCore(dataDir, { sessionRecordMs: 100 }, clock);
    core.putSessions([record('s1', 1000, { status: 'inactive', reason: 'closed' }), record('s2', 1000)]);
    core.flush();
    clock.nowMs = 1101;
    core.committed(0, { journalSeq: 1, body: encodeEntries([stateEntry(address('c1'), 1, 1)]) });
    core.flush();
    expect(listSessions(dataDir, 'acme').map(({ sessionId }) => sessionId)).toEqual(['s2']);
  });

  it('of ended sessions are so many at most, and the oldest go', () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir, { sessionRecordsMax: 2 }, clockAt(10));
    for (const id of ['s1', 's2', 's3']) {
      core.putSessions([record(id, 1, { status: 'inactive', reason: 'closed' }), record(`${id}0`, 1)]);
      core.flush();
    }
    const kept = listSessions(dataDir, 'acme').map(({ sessionId }) => sessionId);
    expect(kept.sort()).toEqual(['s10', 's2', 's20', 's3', 's30']);
  });

  it('are dropped where they cannot be written, and harm nothing else', () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir);
    mkdirSync(join(dataDir, 'tenants'));
    writeFileSync(join(dataDir, 'tenants/acme'), 'a file, where a directory belongs');
    core.quarantineTenant('closed', 'the test says so');
    const tenants = ['acme', 'closed', 'b-2'];
    core.putSessions(tenants.map((tenant) => record('s1', 1, { tenant })));
    expect(core.flush()).toBe(true);
    expect(listSessions(dataDir, 'b-2')).toHaveLength(1);
  });
});

describe('what a former process left', () => {
  it('is a crash of its open sessions, from the first look into the file on', () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir, {}, clockAt(10));
    core.putSessions([
      record('s1', 1),
      record('s2', 2, { status: 'detached' }),
      record('s3', 3, { status: 'inactive', reason: 'closed' }),
    ]);
    core.close();
    // Long after: they are kept as long as if they had ended now.
    const next = openCore(dataDir, {}, clockAt(1e12), 'boot-2');
    next.putSessions([record('s4', 4, { boot: 'boot-2' })]);
    next.load(address('c1'));
    const told = () =>
      listSessions(dataDir, 'acme').map(({ sessionId, status, reason, seenMs }) => [sessionId, status, reason, seenMs]);
    const stale = [
      ['s2', 'inactive', 'crash', 2],
      ['s1', 'inactive', 'crash', 1],
    ];
    expect(told()).toEqual([['s3', 'inactive', 'closed', 3], ...stale]);
    next.flush();
    expect(told()).toEqual([['s4', 'active', '', 4], ...stale]);
  });

  it('does not keep a tenant from being served when it cannot be closed', () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir);
    core.committed(0, { journalSeq: 1, body: encodeEntries([stateEntry(address('c1'), 1, 'here')]) });
    core.putSessions([record('s1', 1)]);
    core.close();
    const no = "CREATE TRIGGER no BEFORE UPDATE ON sessions BEGIN SELECT RAISE(ABORT, 'input/output error'); END";
    new Database(join(dataDir, 'tenants/acme/tenant.db')).exec(no).close();
    expect(stateOf(openCore(dataDir, {}, undefined, 'boot-2'), address('c1'))).toBe('here');
  });

  it('is found in all tenants in the background, and each shard hears of its actors with visitors', async () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir);
    const tenants = Array.from({ length: 9 }, (_, n) => `t${n}`);
    let journalSeq = 0;
    for (const tenant of tenants) {
      const entries = ['c1', 'c2', 'gone'].map((id) => came(tenant, id));
      give(core, [...entries, left(tenant, 'gone'), stateEntry(address('c3', tenant), 1, 1)]);
      core.putSessions([record('s1', 1, { tenant })]);
    }
    core.close();

    const next = openCore(dataDir, { tenantFilesOpenMax: 2 }, undefined, 'boot-2');
    // In no file yet: one who left, in a tenant of its own one who came, and the file of a third is closed off.
    give(next, [left('t0', 'c2'), came('pending', 'c1')]);
    next.quarantineTenant('t8', 'the test says so');
    const told: string[] = [];
    const hear = (shard: number) => ({
      stale: ({ tenant, type, id }: ReturnType<typeof address>) => {
        expect(shardOf(tenant, type, id, 2)).toBe(shard);
        told.push(`${tenant}/${id}`);
      },
    });
    next.attach(0, hear(0));
    const closing = next.closeStale(2);
    // Its thread was not up yet.
    await new Promise((resolve) => setTimeout(resolve, 30));
    next.attach(1, hear(1));
    const found = await closing;
    const expected = [...tenants.slice(0, 8).flatMap((tenant) => [`${tenant}/c1`, `${tenant}/c2`]), 'pending/c1'];
    expect(told.sort()).toEqual(expected.filter((name) => name !== 't0/c2').sort());
    expect(found).toEqual({ tenants: 9, sessions: 8, actors: 16 });
    // Asked again for one shard alone, whose thread was started anew.
    told.length = 0;
    await next.closeStale(2, 1);
    const isOfOne = (name: string) => shardOf(name.split('/')[0]!, 'counter', name.split('/')[1]!, 2) === 1;
    expect(told.sort()).toEqual(expected.filter((name) => name !== 't0/c2' && isOfOne(name)).sort());

    function give(keeper: KeeperCore, entries: ReturnType<typeof stateEntry>[]): void {
      keeper.committed(0, { journalSeq: (journalSeq += 1), body: encodeEntries(entries) });
    }
  });

  it('leaves a file open that is being copied', async () => {
    const dataDir = temporaryDirectory();
    const before = openCore(dataDir);
    const names = Array.from({ length: 250 }, (_, n) => address(`c${n}`));
    const came = names.map((name) => trailEntry(name, 0, { visits: [{ kind: 'in', n: 1, visitor: visitorOf('a') }] }));
    before.committed(0, { journalSeq: 1, body: encodeEntries(came) });
    before.close();
    const core = openCore(dataDir);
    let closing: Promise<unknown> | undefined;
    core.attach(0, {
      stale: () => undefined,
      // The copy cannot end before the search does.
      fence: async (_, overtakes) => {
        if (overtakes) await closing;
        return 0;
      },
    });
    closing = core.closeStale(1);
    const to = join(dataDir, 'copy.db');
    const copied = await core.copies.copy({ tenant: 'acme', to, shards: 1, beginSegment: false }, () => undefined);
    expect(copied).toMatchObject({ kind: 'copied' });
  });

  it('is searched for no longer when the keeper closes', async () => {
    const dataDir = temporaryDirectory();
    const core = openCore(dataDir);
    core.committed(0, { journalSeq: 1, body: encodeEntries([came('acme', 'c1')]) });
    core.flush();
    // Nobody listens, so that it would wait for ever.
    const closing = core.closeStale(1);
    core.close();
    expect(await closing).toMatchObject({ actors: 0 });
  });
});

function came(tenant: string, id: string) {
  return trailEntry(address(id, tenant), 0, { visits: [{ kind: 'in', n: 1, visitor: visitorOf('a') }] });
}

function left(tenant: string, id: string) {
  return trailEntry(address(id, tenant), 0, { visits: [{ kind: 'out', n: 2, clientId: 'a' }] });
}

function record(sessionId: string, seenMs: number, more: Partial<SessionRecord> = {}): SessionRecord {
  return {
    tenant: 'acme',
    sessionId,
    clientId: `client of ${sessionId}`,
    userId: null,
    status: 'active',
    reason: '',
    boot: 'boot-1',
    connectedMs: Number(sessionId.slice(1)),
    seenMs,
    ...more,
  };
}
