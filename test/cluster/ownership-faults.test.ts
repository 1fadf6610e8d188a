/** Nodes that stop, fall silent, or share an id, and a NATS that goes away: nothing may have two owners, or lose the one it has. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { bucketSnapshot } from '../../src/cluster/bucket-snapshot.ts';
import { slots } from '../../src/transport/nats-names.ts';
import { eventually } from '../support/wait.ts';
import { allSlots, clusterPerTest, expectRisingEpochs, ownedByAny, tenantIn } from './cluster.ts';
import { dial, leaseMs, nodeRecord, writeRecord } from './fixtures.ts';

const cluster = clusterPerTest();

describe('a node that stopped', () => {
  test('keeps its slots while the grace lasts, and those with data for ever', async () => {
    const first = await (await cluster.open('nodeaaaa')).start([tenantIn(1)]);
    await first.ownership.markData(2);
    const second = await (await cluster.open('nodebbbb', { slotGraceMs: leaseMs })).start();
    await first.stop();
    await eventually(
      'it is seen as stopped',
      () => second.ownership.store.view.nodes.get('nodeaaaa')?.record?.state === 'stopped',
    );
    expect(second.slots).toEqual([]);
    await eventually('the grace is over', () => second.slots.length === slots - 2);
    expect(second.slots).not.toContain(1);
    expect(second.slots).not.toContain(2);
    // For ever: for as long as one wants to wait.
    await delay(leaseMs * 2);
    expect(second.slots).toHaveLength(slots - 2);
    for (const slot of second.slots) expectRisingEpochs(slot, [first, second]);
    const back = await (await cluster.open('nodeaaaa')).start([tenantIn(1), tenantIn(2)]);
    expect(back.slots).toEqual([1, 2]);
    expect(back.ownership.conflicts()).toEqual([]);
  });
});

describe('a node that is silent', () => {
  test('keeps its slots when it is back within lease and grace', async () => {
    const first = await (await cluster.open('nodeaaaa')).start();
    const second = await (await cluster.open('nodebbbb')).start();
    await first.die();
    const again = await (await cluster.open('nodeaaaa')).start();
    expect(again.slots).toEqual(allSlots);
    expect(second.slots).toEqual([]);
  });

  test('that was stopped in its tracks is deposed, and finds its lease over and its renewal refused', async () => {
    const child = spawn(
      process.execPath,
      [join(import.meta.dirname, 'node-child.ts'), cluster.server.url, 'nodeaaaa'],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    );
    onTestFinished(() => void child.kill('SIGKILL'));
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    await eventually('the child owns all', () => said.includes(`owns ${slots}`));
    const second = await (await cluster.open('nodebbbb', { slotGraceMs: 0 })).start();
    const before = new Map([...second.ownership.store.view.slots].map(([slot, seen]) => [slot, seen.record!.epoch]));
    child.kill('SIGSTOP');
    await eventually('all slots are taken over', () => second.slots.length === slots);
    for (const [slot, epoch] of second.ownership.owned()) expect(epoch).toBeGreaterThan(before.get(slot)!);
    expect(second.ownership.store.view.nodes.get('nodeaaaa')?.record?.state).toBe('deposed');
    const exit = once(child, 'exit');
    child.kill('SIGCONT');
    expect(await exit).toEqual([70, null]);
    expect(said).toContain('deposed, lease over: another node has deposed this one');
    expect(second.slots).toEqual(allSlots);
    // Started anew it is a node like any other.
    const back = await (await cluster.open('nodeaaaa')).start();
    expect(back.slots).toEqual([]);
    expect(back.lease.held).toBe(true);
  });
});

describe('two processes with the same id', () => {
  test('cannot both hold the lease: the second start deposes the first at once', async () => {
    const first = await (await cluster.open('nodeaaaa')).start();
    const second = await (await cluster.open('nodeaaaa')).start();
    await eventually('the first is told', () => first.deposed.length === 1);
    expect(first.deposed[0]).toContain('another process runs under this node id');
    expect(first.lease.held).toBe(false);
    expect(second.lease.held).toBe(true);
    expect(second.slots).toEqual(allSlots);
    for (const slot of allSlots) expectRisingEpochs(slot, [first, second]);
    await delay(leaseMs);
    expect(first.deposed).toHaveLength(1);
    expect(second.deposed).toEqual([]);
  });
});

describe('NATS', () => {
  test('away for longer than the lease: leases lapse, and go on under the same epochs, with nobody’s slots taken', async () => {
    const [first, second] = await Promise.all([
      cluster.open('nodeaaaa', { slotGraceMs: 0 }).then((node) => node.start()),
      cluster.open('nodebbbb', { slotGraceMs: 0 }).then((node) => node.start()),
    ]);
    await eventually('an even share', () => ownedByAny([first, second]).length === slots);
    const owned = [first, second].map((node) => new Map(node.ownership.owned()));
    await cluster.server.down();
    await eventually('both lapse', () => !first.lease.held && !second.lease.held);
    await delay(leaseMs * 3);
    await cluster.server.up();
    await eventually('both resume', () => first.lease.held && second.lease.held);
    await delay(leaseMs * 2);
    expect([first, second].map((node) => new Map(node.ownership.owned()))).toEqual(owned);
    expect([first.deposed, second.deposed]).toEqual([[], []]);
    expect(first.told.length + second.told.length).toBe(slots);
    expect([first.lease.held, second.lease.held]).toEqual([true, true]);
  });

  test('away: what others did not say meanwhile counts for nothing, what they do not say later does', async () => {
    const nc = await dial(cluster.server);
    await writeRecord(nc, { node: 'nodebbbb' }, nodeRecord());
    for (const slot of allSlots) await writeRecord(nc, { slot }, { owner: 'nodebbbb', epoch: 1, hasData: false });
    await nc.close();
    const node = await (await cluster.open('nodeaaaa', { slotGraceMs: 0 })).start();
    const standing = () => node.ownership.store.view.nodes.get('nodebbbb')?.record?.state;
    await cluster.server.down();
    await delay(leaseMs * 3);
    await cluster.server.up();
    await eventually('it resumes', () => node.lease.held);
    await delay(leaseMs / 2);
    expect(standing()).toBe('up');
    expect(node.slots).toEqual([]);
    await eventually('its silence is believed', () => node.slots.length === slots);
    expect(standing()).toBe('deposed');
  });

  test('stopped in its tracks: the same, through connections that stay open', async () => {
    const first = await (await cluster.open('nodeaaaa', { slotGraceMs: 0 })).start();
    const second = await (await cluster.open('nodebbbb', { slotGraceMs: 0 })).start();
    cluster.server.freeze();
    await eventually('both lapse', () => !first.lease.held && !second.lease.held);
    await delay(leaseMs * 2);
    cluster.server.thaw();
    await eventually('both resume', () => first.lease.held && second.lease.held);
    await delay(leaseMs * 2);
    expect(first.slots).toEqual(allSlots);
    expect(second.slots).toEqual([]);
    expect([first.deposed, second.deposed]).toEqual([[], []]);
  });

  test('with its store lost: owners write their records anew, and nobody takes them meanwhile', async () => {
    const [first, second] = await Promise.all([
      cluster.open('nodeaaaa').then((node) => node.start()),
      cluster.open('nodebbbb').then((node) => node.start()),
    ]);
    await eventually('an even share', () => first.slots.length === 32 && second.slots.length === 32);
    const owned = [first, second].map((node) => new Map(node.ownership.owned()));
    await (await first.nc.jetstreamManager()).streams.delete('KV_fermata_slots');
    await eventually('all records are back', async () => {
      const kv = await second.nc.jetstream().views.kv('fermata_slots', { bindOnly: true });
      return (await bucketSnapshot(kv).catch(() => new Map())).size === slots + 2;
    });
    await delay(leaseMs * 2);
    expect([first, second].map((node) => new Map(node.ownership.owned()))).toEqual(owned);
    expect([first.lease.held, second.lease.held]).toEqual([true, true]);
    expect([first.deposed, second.deposed]).toEqual([[], []]);
  });

  test('full of nonsense under our keys: what cannot be read belongs to somebody, and is left alone', async () => {
    const first = await cluster.open('nodeaaaa');
    const kv = await first.nc.jetstream().views.kv('fermata_slots', { bindOnly: true });
    await kv.put('slot.3', 'nonsense');
    await kv.put('slot.4', '{"owner":"*","epoch":1,"hasData":false}');
    await kv.put('node.nodexxxx', '[]');
    await kv.put('slot.99', '{}');
    await writeRecord(first.nc, { node: 'nodeyyyy' }, nodeRecord({ state: 'stopped' }));
    await first.start();
    expect(first.slots).toEqual(allSlots.filter((slot) => slot !== 3 && slot !== 4));
    expect((await kv.get('slot.3'))?.string()).toBe('nonsense');
  });
});
