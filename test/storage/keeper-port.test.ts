import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import Database from 'better-sqlite3';
import type { Logger } from '../../src/host/log.ts';
import { Thread } from '../../src/host/thread.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import type { Keeper } from '../../src/storage/contract.ts';
import type { KeeperCore } from '../../src/storage/keeper.ts';
import { listSessions } from '../../src/storage/inspect.ts';
import { encodeEntries } from '../../src/storage/entry.ts';
import { keeperPort, serveKeeper } from '../../src/storage/keeper-port.ts';
import type { Recovered } from '../../src/storage/recovery.ts';
import {
  address,
  ok,
  okCall,
  openCore,
  openJournal,
  patchEntry,
  silentLog,
  stateEntry,
  temporaryDirectory,
  trailEntry,
  visitorOf,
} from './fixtures.ts';

const c1 = address('c1');

describe('the keeper behind a port', () => {
  it('answers from every row that was handed over before the question', async () => {
    const { keeper, journal } = joined();
    keeper.committed(journal.commit([stateEntry(c1, 1, [1], okCall('k', 'é'))], 'durable'));
    const first = keeper.load(c1);
    keeper.committed(journal.commit([patchEntry(c1, 2, [{ op: 'add', path: '/-', value: 2 }])], 'durable'));
    const second = keeper.load(c1);
    expect(await first).toMatchObject({ seq: 1, version: 1, state: '[1]', hasOutcomes: true });
    expect(await second).toMatchObject({ seq: 2, state: '[1,2]' });
    expect(await keeper.outcome(c1, 'k')).toEqual({ args: 'hash of k', outcome: { kind: 'ok', result: '"é"' } });
    expect(await keeper.outcome(c1, 'other')).toBeUndefined();
  });

  it('answers what is known of numbered calls and of streams', async () => {
    const { keeper, journal } = joined();
    const numbered = [{ client: 'abcdefgh', ack: 1, calls: [{ n: 2, outcome: ok(2), atMs: Date.now() }] }];
    const trail = { numbered, events: [{ seq: 1, text: '"é"' }], eventsMax: 5 };
    keeper.committed(journal.commit([trailEntry(c1, 0, trail)], 'durable'));
    expect(await keeper.numbered(c1, 'abcdefgh')).toEqual({ ack: 1, calls: numbered[0]!.calls });
    expect(await keeper.numbered(c1, 'somebody-else')).toBeUndefined();
    expect(await keeper.history(c1, 'event', 0)).toEqual(trail.events);
    expect(await keeper.history(c1, 'event', 5)).toBeUndefined();
    expect(await keeper.history(c1, 'state', 0)).toEqual([]);
  });

  it('ends a copy with what was committed by one moment, whichever shard it comes from and when', async () => {
    const { core, keeper: a } = joined();
    const { port1, port2 } = new MessageChannel();
    onTestFinished(serveKeeper(core, port1, 1, silentLog));
    const b = keeperPort(port2);
    const c2 = address('c2');
    const longAgo = Date.now() - 60_000;
    const later = Date.now() + 60_000;
    const give = (keeper: Keeper, journalSeq: number, atMs: number, of: typeof c1): void =>
      keeper.committed({ journalSeq, atMs, body: encodeEntries([stateEntry(of, journalSeq, journalSeq)]) });
    give(a, 1, longAgo, c1);
    give(b, 1, longAgo, c2);
    const fences = { a: 0, b: 0 };
    a.onFence(() => {
      // The second one is that of the cut: a row of before is still on its way, and one is committed meanwhile.
      if ((fences.a += 1) === 2) {
        give(a, 2, longAgo, c1);
        give(a, 3, later, c1);
      }
      return 0;
    });
    b.onFence(() => {
      if ((fences.b += 1) === 2) give(b, 2, later, c2);
      return 0;
    });
    const to = join(temporaryDirectory(), 'copy.db');
    const copied = await core.copies.copy({ tenant: 'acme', to, shards: 2, beginSegment: false }, () => undefined);
    expect(copied).toMatchObject({ kind: 'copied' });
    const rows = new Database(to).prepare('SELECT id, seq FROM actors ORDER BY id').all();
    expect(rows).toEqual([
      { id: 'c1', seq: 2 },
      { id: 'c2', seq: 1 },
    ]);
    // What had to wait has come.
    expect(await a.load(c1)).toMatchObject({ seq: 3 });
    expect(await b.load(c2)).toMatchObject({ seq: 2 });
  });

  it('waits for a shard that is busy, and lets the others go on meanwhile', async () => {
    const { core, keeper: a } = joined();
    a.committed({ journalSeq: 1, atMs: 1, body: encodeEntries([stateEntry(c1, 1, 1)]) });
    const { port1, port2 } = new MessageChannel();
    onTestFinished(serveKeeper(core, port1, 1, silentLog));
    onTestFinished(() => port2.close());
    let fences = 0;
    a.onFence(() => 0);
    // It passes the first fence, and the next only a while later.
    port2.on('message', (messages: unknown[][]) => {
      for (const [op, id] of messages) {
        if (op !== 'fence') continue;
        fences += 1;
        setTimeout(() => port2.postMessage([['fenced', id, 0]]), fences === 2 ? 400 : 0);
      }
    });
    const to = join(temporaryDirectory(), 'copy.db');
    const copying = core.copies.copy({ tenant: 'acme', to, shards: 2, beginSegment: false }, () => undefined);
    await expect.poll(() => fences).toBeGreaterThanOrEqual(2);
    expect(await a.load(c1)).toMatchObject({ seq: 1 });
    expect(await copying).toMatchObject({ kind: 'copied' });
    expect(fences).toBeGreaterThan(2);
  });

  it('tells which actors a former process left with visitors', async () => {
    const { keeper, core, journal } = joined();
    const stale = new Promise((resolve) => keeper.onStale(resolve));
    const visits = [{ kind: 'in', n: 1, visitor: visitorOf('a') } as const];
    keeper.committed(journal.commit([trailEntry(c1, 0, { visits })], 'durable'));
    expect(await keeper.load(c1)).toMatchObject({ visitors: [visitorOf('a')] });
    expect(await core.closeStale(1)).toEqual({ tenants: 1, sessions: 0, actors: 1 });
    expect(await stale).toEqual(c1);
  });

  it('tells what is synced and what was quarantined', async () => {
    const { keeper, core, journal } = joined();
    const synced = new Promise((resolve) => keeper.onSynced(resolve));
    const quarantined = new Promise((resolve) => keeper.onQuarantined(resolve));
    keeper.committed(journal.commit([stateEntry(c1, 1, 1)], 'durable'));
    await keeper.load(c1);
    core.flush();
    expect(await synced).toBe(1);
    core.quarantineTenant('acme', 'the test says so');
    expect(await quarantined).toEqual({ tenant: 'acme', type: '', id: '' });
    await expect(keeper.load(c1)).rejects.toMatchObject({ name: 'AppError', code: 'QUARANTINED', outcome: 'rejected' });
  });

  it('tells which tenants are read-only, also those that became so before the shard listened', async () => {
    const { keeper, core, journal, dataDir } = joined();
    mkdirSync(join(dataDir, 'tenants'));
    writeFileSync(join(dataDir, 'tenants/acme'), '');
    keeper.committed(journal.commit([stateEntry(c1, 1, 1)], 'durable'));
    await expect(keeper.load(c1)).rejects.toMatchObject({ code: 'READ_ONLY' });
    core.flush();
    const { port1, port2 } = new MessageChannel();
    const end = serveKeeper(core, port1, 1, silentLog);
    const late = keeperPort(port2);
    onTestFinished(() => {
      late.close();
      end();
    });
    for (const each of [keeper, late])
      expect(await new Promise((resolve) => each.onReadOnly((...told) => resolve(told)))).toEqual(['acme', true]);
    const works = new Promise((resolve) => late.onReadOnly((...told) => resolve(told)));
    rmSync(join(dataDir, 'tenants/acme'));
    core.flush();
    expect(await works).toEqual(['acme', false]);
  });

  it('refuses a question that it cannot make sense of, logs it, and answers the next', async () => {
    const core = openCore(temporaryDirectory());
    const { port1, port2 } = new MessageChannel();
    const logged: unknown[] = [];
    const log = { ...silentLog, error: (...words: unknown[]) => logged.push(words) } as unknown as Logger;
    onTestFinished(serveKeeper(core, port1, 0, log));
    const answers = new Promise((resolve) => port2.on('message', resolve));
    port2.postMessage([
      ['load', 1, undefined],
      ['load', 2, c1],
    ]);
    expect(await answers).toMatchObject([
      ['refusal', 1, 'INTERNAL', expect.any(String), undefined],
      ['answer', 2, { seq: 0 }],
    ]);
    expect(logged).toHaveLength(1);
  });

  it('refuses with UNKNOWN whatever is open when the port closes, and everything after', async () => {
    const { port1, port2 } = new MessageChannel();
    const keeper = keeperPort(port1);
    const open = keeper.load(c1);
    port2.close();
    await expect(open).rejects.toMatchObject({ code: 'UNKNOWN', outcome: 'unknown' });
    await expect(keeper.outcome(c1, 'k')).rejects.toMatchObject({ code: 'UNKNOWN' });
    keeper.committed({ journalSeq: 1, body: '' });
    keeper.close();
    keeper.close();
  });
});

describe('the keeper thread', () => {
  it('recovers, serves, takes a shard that starts anew, and stops with everything in tenant files', async () => {
    const dataDir = temporaryDirectory();
    const journal = openJournal(dataDir);
    journal.commit([stateEntry(c1, 1, [1])], 'durable');
    journal.abandon();
    const cable = new MessageChannel();
    const thread = keeperThread(dataDir, cable.port1);
    const first = keeperPort(cable.port2);
    // Asked before recovery, answered after it.
    const early = first.load(c1);
    expect(await thread.ask<Recovered>('recover', { shards: 1 })).toMatchObject({ rows: 1, actors: 1, pending: false });
    expect(await early).toMatchObject({ seq: 1, state: '[1]' });

    const again = openJournal(dataDir);
    first.committed(again.commit([patchEntry(c1, 2, [{ op: 'add', path: '/-', value: 2 }])], 'durable'));
    again.commit([patchEntry(c1, 3, [{ op: 'add', path: '/-', value: 3 }])], 'durable');
    await first.load(c1);
    first.close();
    again.abandon();
    const next = new MessageChannel();
    expect(await thread.ask('connect', { shard: 0, port: next.port1 }, [next.port1])).toEqual({ rows: 1 });
    const second = keeperPort(next.port2);
    onTestFinished(() => second.close());
    const synced = new Promise((resolve) => second.onSynced((journalSeq) => journalSeq === 3 && resolve(true)));
    expect(await second.load(c1)).toMatchObject({ seq: 3, state: '[1,2,3]' });
    expect(await thread.ask('flush')).toBe(true);
    await synced;
    expect(await thread.ask('stop')).toBe(true);
    await expect(second.load(c1)).rejects.toMatchObject({ code: 'UNKNOWN' });
    expect(openCore(dataDir).load(c1)).toMatchObject({ seq: 3, state: '[1,2,3]' });
  });

  it('writes records of sessions, and in the next run closes what this one left', async () => {
    const dataDir = temporaryDirectory();
    const cables = [new MessageChannel(), new MessageChannel()];
    const first = keeperThread(dataDir, cables[0]!.port1, 'boot-1');
    await first.ask('recover', { shards: 1 });
    const journal = openJournal(dataDir);
    const visits = [{ kind: 'in', n: 1, visitor: visitorOf('a') } as const];
    keeperPort(cables[0]!.port2).committed(journal.commit([trailEntry(c1, 0, { visits })], 'durable'));
    const record = { sessionId: 's1', clientId: 'a', userId: 'u', status: 'active', reason: '', boot: 'boot-1' };
    await first.ask('putSessions', [{ tenant: 'acme', ...record, connectedMs: 1, seenMs: 2 }]);
    await first.ask('stop');
    await first.terminate();

    const next = keeperThread(dataDir, cables[1]!.port1, 'boot-2');
    await next.ask('recover', { shards: 1 });
    const keeper = keeperPort(cables[1]!.port2);
    const stale = new Promise((resolve) => keeper.onStale(resolve));
    await next.ask('closeStale', { shards: 1 });
    expect(await stale).toEqual(c1);
    expect(listSessions(dataDir, 'acme')).toMatchObject([{ sessionId: 's1', status: 'inactive', reason: 'crash' }]);
    expect(await next.ask('stop')).toBe(true);
  });

  it('ends the questions of its shards when it dies', async () => {
    const cable = new MessageChannel();
    const thread = keeperThread(temporaryDirectory(), cable.port1);
    const keeper = keeperPort(cable.port2);
    await thread.ask('recover', { shards: 1 });
    await keeper.load(c1);
    const refused = expect(keeper.load(c1).then(() => keeper.load(c1))).rejects.toMatchObject({ code: 'UNKNOWN' });
    await thread.terminate();
    await refused;
  });
});

function joined(): { keeper: Keeper; core: KeeperCore; journal: ReturnType<typeof openJournal>; dataDir: string } {
  const dataDir = temporaryDirectory();
  const core = openCore(dataDir);
  const { port1, port2 } = new MessageChannel();
  const end = serveKeeper(core, port1, 0, silentLog);
  const keeper = keeperPort(port2);
  onTestFinished(() => {
    keeper.close();
    end();
  });
  return { keeper, core, journal: openJournal(dataDir), dataDir };
}

function keeperThread(dataDir: string, port: MessageChannel['port1'], boot = 'boot-1'): Thread {
  const limits = { ...defaultLimits, keeperDelayMs: 3_600_000 };
  const thread = new Thread(
    'keeper',
    'keeper',
    { dataDir, limits, boot, ports: [port], log: { level: 'silent', pretty: false } },
    [port],
  );
  onTestFinished(() => thread.terminate());
  return thread;
}
