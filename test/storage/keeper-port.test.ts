import { MessageChannel } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Thread } from '../../src/host/thread.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import type { Keeper } from '../../src/storage/contract.ts';
import type { KeeperCore } from '../../src/storage/keeper.ts';
import { keeperPort, serveKeeper } from '../../src/storage/keeper-port.ts';
import type { Recovered } from '../../src/storage/recovery.ts';
import { address, okCall, openCore, openJournal, patchEntry, stateEntry, temporaryDirectory } from './fixtures.ts';

const c1 = address('c1');

describe('the keeper behind a port', () => {
  it('answers from every row that was handed over before the question', async () => {
    const { keeper, journal } = joined();
    keeper.committed(journal.commit([stateEntry(c1, 1, [1], okCall('k', 'é'))], 'durable'));
    const first = keeper.load(c1);
    keeper.committed(journal.commit([patchEntry(c1, 2, [{ op: 'add', path: '/-', value: 2 }])], 'durable'));
    const second = keeper.load(c1);
    expect(await first).toEqual({ seq: 1, version: 1, state: '[1]', hasOutcomes: true });
    expect(await second).toMatchObject({ seq: 2, state: '[1,2]' });
    expect(await keeper.outcome(c1, 'k')).toEqual({ args: 'hash of k', outcome: { kind: 'ok', result: '"é"' } });
    expect(await keeper.outcome(c1, 'other')).toBeUndefined();
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

function joined(): { keeper: Keeper; core: KeeperCore; journal: ReturnType<typeof openJournal> } {
  const dataDir = temporaryDirectory();
  const core = openCore(dataDir);
  const { port1, port2 } = new MessageChannel();
  const end = serveKeeper(core, port1, 0);
  const keeper = keeperPort(port2);
  onTestFinished(() => {
    keeper.close();
    end();
  });
  return { keeper, core, journal: openJournal(dataDir) };
}

function keeperThread(dataDir: string, port: MessageChannel['port1']): Thread {
  const limits = { ...defaultLimits, keeperDelayMs: 3_600_000 };
  const thread = new Thread(
    'keeper',
    'keeper',
    { dataDir, limits, ports: [port], log: { level: 'silent', pretty: false } },
    [port],
  );
  onTestFinished(() => thread.terminate());
  return thread;
}
