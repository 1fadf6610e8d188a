/**
 * Who may commit, when a process was thought to be gone and is not: frozen past its lease, its slots taken meanwhile, or there
 * twice because somebody has copied a data directory.
 */
import { cpSync } from 'node:fs';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { parseNode, nodeKey, slotKey } from '../../src/cluster/slot-records.ts';
import { buckets, slots } from '../../src/transport/nats-names.ts';
import { Cluster, type Member } from '../support/cluster.ts';
import { eventually } from '../support/wait.ts';
import { sinceRestart, Witness } from '../support/witness.ts';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({
    app: 'ledger',
    gatewayArgs: ['--limit', 'remoteCallMsMax=3000'],
    runtimeArgs: ['--limit', 'leaseMs=2000', '--slot-grace', '1s'],
  });
}, 60_000);

afterAll(async () => await cluster.end());

/** Calls a list of its own on the runtime that is named. */
async function watch(runtime: Member, list: string): Promise<Witness> {
  const [tenant] = (await cluster.tenants(1, [runtime])) as [string];
  const witness = new Witness({ addresses: cluster.gateways.map(({ address }) => address), tenant, list });
  onTestFinished(() => witness.stop());
  return witness;
}

async function owners(): Promise<(string | undefined)[]> {
  const records = await Promise.all(Array.from({ length: slots }, (_, slot) => cluster.slot(slot)));
  return records.map((record) => record?.owner);
}

async function told(witness: Witness, more: number): Promise<void> {
  const goal = witness.told.length + more;
  await eventually('calls are answered', () => witness.told.length >= goal, 20_000);
}

/** What `fermata move --abandon-data` does: its node is deposed, and the slot is somebody else's, with no data of its own. */
async function abandon(slot: number, from: Member, to: Member): Promise<void> {
  const kv = await cluster.nc.jetstream().views.kv(buckets.slots, { bindOnly: true });
  const node = (await kv.get(nodeKey(from.node)))!;
  const deposed = { ...parseNode(node.string())!, state: 'deposed' };
  await kv.update(nodeKey(from.node), JSON.stringify(deposed), node.revision);
  const record = (await kv.get(slotKey(slot)))!;
  const { epoch } = (await cluster.slot(slot))!;
  const taken = { owner: to.node, epoch: epoch + 1, hasData: true };
  await kv.update(slotKey(slot), JSON.stringify(taken), record.revision);
}

/** Everything that was acknowledged since the list began anew is in it, once. */
async function expectKept(witness: Witness): Promise<void> {
  const entries = await witness.entries();
  const since = sinceRestart(witness.told);
  expect(entries.filter((entry, n) => entries.indexOf(entry) !== n)).toEqual([]);
  for (const { entry, length } of since) expect([entry, entries[length - 1]]).toEqual([entry, entry]);
}

test('frozen for longer than its lease, a runtime keeps its slots with data, loses the others, and commits nothing more under its old name', {
  timeout: 60_000,
}, async () => {
  const [frozen, other] = cluster.runtimes as [Member, Member];
  const witness = await watch(frozen, 'frozen');
  await told(witness, 20);
  frozen.freeze();
  const count = async (owner: Member) => (await owners()).filter((one) => one === owner.node).length;
  await eventually('its slots without data are taken', async () => (await count(frozen)) === 1, 30_000);
  expect(await count(other)).toBe(slots - 1);
  expect(await cluster.slot(witness.slot)).toMatchObject({ owner: frozen.node, hasData: true });
  frozen.thaw();
  // The right to renew its lease was taken away before its slots were.
  expect(await frozen.process.exited).toEqual({ code: 75, signal: null });
  await frozen.start();
  await told(witness, 5);
  await witness.stop();
  expect(sinceRestart(witness.told)).toEqual(witness.told);
  await expectKept(witness);
});

test('a runtime that wakes up after its data was given up says nothing that any client believes', {
  timeout: 60_000,
}, async () => {
  const [other, frozen] = cluster.runtimes as [Member, Member];
  // Several, so that it has calls in hand when it falls asleep.
  const witnesses = await Promise.all(['a', 'b', 'c', 'd'].map((list) => watch(frozen, list)));
  await Promise.all(witnesses.map((witness) => told(witness, 20)));
  frozen.freeze();
  // Longer than its lease.
  await eventually('calls end unknown', () => witnesses.every(({ refused }) => refused > 0));
  await abandon(witnesses[0]!.slot, frozen, other);
  frozen.thaw();
  expect(await frozen.process.exited).toEqual({ code: 75, signal: null });
  await Promise.all(witnesses.map((witness) => told(witness, 20)));
  for (const witness of witnesses) {
    await witness.stop();
    // It began anew, once: what the former one had in hand when it woke up was told to nobody.
    const since = sinceRestart(witness.told);
    expect(witness.told.length - since.length).toBeGreaterThanOrEqual(20);
    expect(since.length).toBeGreaterThanOrEqual(20);
    const lengths = witness.told.map(({ length }) => length);
    expect(lengths.filter((length, n) => n > 0 && length <= lengths[n - 1]!)).toHaveLength(1);
    await expectKept(witness);
  }
  await frozen.start();
});

test('of two processes with one data directory’s name the first is deposed, and nothing is acknowledged by both', {
  timeout: 60_000,
}, async () => {
  const [first] = cluster.runtimes as [Member];
  const witness = await watch(first, 'copied');
  await told(witness, 20);
  await first.term();
  const copy = cluster.directory();
  cpSync(first.dataDir, copy, { recursive: true });
  await first.start();
  await told(witness, 20);
  const second = cluster.runtime(copy);
  expect(await first.process.exited).toEqual({ code: 75, signal: null });
  expect(first.process.output).toContain('another process has the lease of this node');
  await second;
  await told(witness, 20);
  await witness.stop();
  const since = sinceRestart(witness.told);
  expect(since.length).toBeGreaterThanOrEqual(20);
  expect(since.length).toBeLessThan(witness.told.length);
  await expectKept(witness);
});
