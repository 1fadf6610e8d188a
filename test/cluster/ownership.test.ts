/** Nodes that share one NATS: who owns what, by starts and by decisions of people. */
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { slots } from '../../src/transport/nats-names.ts';
import { eventually } from '../support/wait.ts';
import { allSlots, clusterPerTest, expectRisingEpochs, ownedByAny, tenantIn } from './cluster.ts';
import { dial, ensureOn, leaseMs } from './fixtures.ts';

const cluster = clusterPerTest();

describe('a start', () => {
  test('of one node takes every slot, each told once with its epoch', async () => {
    const node = await (await cluster.open('nodeaaaa')).start();
    expect(node.slots).toEqual(allSlots);
    expect(node.told.map(({ slot }) => slot).toSorted((a, b) => a - b)).toEqual(allSlots);
    for (const { slot, epoch } of node.told) expect(node.ownership.owned().get(slot)).toBe(epoch);
    expect(node.lease.held).toBe(true);
  });

  test('of a second node, while all have an owner, changes nothing', async () => {
    const first = await (await cluster.open('nodeaaaa')).start();
    const second = await (await cluster.open('nodebbbb')).start();
    expect(first.slots).toEqual(allSlots);
    expect(second.slots).toEqual([]);
    expect(first.told).toHaveLength(slots);
  });

  test('takes the slots of its data first, marked as such', async () => {
    const first = await cluster.open('nodeaaaa');
    const second = await cluster.open('nodebbbb');
    const mine = [3, 17, 40];
    await Promise.all([first.start(), second.start(mine.map(tenantIn))]);
    expect(second.slots).toEqual(expect.arrayContaining(mine));
    for (const slot of mine) expect(first.ownership.store.view.slots.get(slot)?.record?.hasData).toBe(true);
    await eventually('an even share', () => first.slots.length === 32 && second.slots.length === 32);
  });

  test('brings its data home from a node that has none in the slot', async () => {
    const first = await (await cluster.open('nodeaaaa')).start();
    const second = await (await cluster.open('nodebbbb')).start([tenantIn(9)]);
    expect(second.slots).toEqual([9]);
    await eventually('the first lets go', () => first.told.some(({ slot, epoch }) => slot === 9 && epoch === 'lost'));
    expect(first.slots).not.toContain(9);
    expectRisingEpochs(9, [first, second]);
    await expect(first.ownership.markData(9)).rejects.toThrow('does not belong to this node');
  });

  test('with data of a slot that another has data of too reports it, and leaves the slot alone', async () => {
    const first = await (await cluster.open('nodeaaaa')).start([tenantIn(9)]);
    const second = await (await cluster.open('nodebbbb')).start([tenantIn(9)]);
    expect(second.ownership.conflicts()).toEqual([{ slot: 9, owner: 'nodeaaaa' }]);
    expect(second.slots).toEqual([]);
    expect(first.slots).toContain(9);
  });

  test('raises the epoch of every slot that is its own', async () => {
    const first = await (await cluster.open('nodeaaaa')).start();
    await first.stop();
    const again = await (await cluster.open('nodeaaaa')).start();
    expect(again.slots).toEqual(allSlots);
    for (const slot of allSlots) expectRisingEpochs(slot, [first, again]);
    expect(again.ownership.epoch).toBe(first.ownership.epoch + 1);
  });

  test('of a slot that cannot be served yet is tried again under a higher epoch', async () => {
    let failures = 2;
    const epochs: number[] = [];
    const node = await cluster.open('nodeaaaa', {
      onTaken: async (slot, epoch) => {
        if (slot !== 5) return;
        epochs.push(epoch);
        if (failures-- > 0) throw new Error('not yet');
      },
    });
    await node.start();
    await eventually('the third try', () => epochs.length === 3);
    expect(epochs).toEqual([...new Set(epochs)].toSorted((a, b) => a - b));
    expect(node.ownership.owned().get(5)).toBe(epochs[2]);
    expect(node.ownership.store.view.slots.get(5)?.record?.epoch).toBe(epochs[2]);
  });
});

test('20 times, three nodes start at random moments: every slot is owned exactly once', async () => {
  const ids = ['nodeaaaa', 'nodebbbb', 'nodecccc'];
  for (let round = 0; round < 20; round += 1) {
    const some = await Promise.all(
      ids.map(async (id) => {
        const node = await cluster.open(id, { settleMs: 50 + Math.random() * 100 });
        await delay(Math.random() * 150);
        return await node.start();
      }),
    );
    await eventually('all slots are owned', () => ownedByAny(some).length >= slots);
    expect(ownedByAny(some)).toEqual(allSlots);
    for (const node of some) {
      for (const [slot, epoch] of node.ownership.owned())
        expect(node.ownership.store.view.slots.get(slot)?.record).toMatchObject({ owner: node.id, epoch });
    }
    await Promise.all(some.map((node) => node.stop()));
    const nc = await dial(cluster.server);
    await (await nc.jetstreamManager()).streams.delete('KV_fermata_slots');
    await ensureOn(nc)();
    await nc.close();
  }
}, 120_000);

describe('handing over', () => {
  test('gives one slot to a node that is there, under a higher epoch, with its mark of data', async () => {
    const first = await (await cluster.open('nodeaaaa')).start([tenantIn(7)]);
    const second = await (await cluster.open('nodebbbb')).start();
    await first.ownership.handOver(7, 'nodebbbb');
    await eventually('it is served there', () => second.told.some(({ slot }) => slot === 7));
    await eventually('it is lost here', () => first.told.some(({ slot, epoch }) => slot === 7 && epoch === 'lost'));
    expect(second.slots).toEqual([7]);
    expect(first.slots).not.toContain(7);
    expectRisingEpochs(7, [first, second]);
    expect(second.ownership.store.view.slots.get(7)?.record).toMatchObject({ owner: 'nodebbbb', hasData: true });
    expect(first.ownership.conflicts()).toEqual([]);
  });

  test('to nobody, or of what is not ours, is refused', async () => {
    const first = await (await cluster.open('nodeaaaa')).start();
    const second = await (await cluster.open('nodebbbb')).start();
    await expect(first.ownership.handOver(7, 'nodezzzz')).rejects.toThrow('node nodezzzz is not there');
    await expect(second.ownership.handOver(7, 'nodeaaaa')).rejects.toThrow('does not belong to this node');
  });
});

describe('taking what was abandoned', () => {
  test('is refused while its owner is there', async () => {
    const first = await (await cluster.open('nodeaaaa')).start([tenantIn(7)]);
    const second = await (await cluster.open('nodebbbb')).start();
    await expect(second.ownership.takeAbandoned(7)).rejects.toThrow('is there');
    expect(first.slots).toContain(7);
  });

  test('waits until it is clear whether an owner that fell silent is there', async () => {
    const first = await (await cluster.open('nodeaaaa')).start([tenantIn(7)]);
    const second = await (await cluster.open('nodebbbb')).start();
    await first.die();
    const { view } = second.ownership.store;
    await eventually('its renewal is overdue', () => view.silentMs('nodeaaaa') > leaseMs * 0.7);
    await second.ownership.takeAbandoned(7);
    expect(second.slots).toContain(7);
  });

  test('takes a slot with data from an owner that is away, who has a conflict when it is back', async () => {
    const first = await (await cluster.open('nodeaaaa')).start([tenantIn(7)]);
    const second = await (await cluster.open('nodebbbb')).start();
    await first.stop();
    await eventually(
      'it is seen',
      () => second.ownership.store.view.nodes.get('nodeaaaa')?.record?.state === 'stopped',
    );
    await second.ownership.takeAbandoned(7);
    expect(second.slots).toContain(7);
    expectRisingEpochs(7, [first, second]);
    const back = await (await cluster.open('nodeaaaa')).start([tenantIn(7)]);
    expect(back.slots).not.toContain(7);
    expect(back.ownership.conflicts()).toEqual([{ slot: 7, owner: 'nodebbbb' }]);
  });
});

test('data is marked once, however many ask at the same time', async () => {
  const node = await (await cluster.open('nodeaaaa')).start();
  await Promise.all(Array.from({ length: 10 }, async () => await node.ownership.markData(4)));
  const seen = node.ownership.store.view.slots.get(4)!;
  expect(seen.record?.hasData).toBe(true);
  await node.ownership.markData(4);
  expect(node.ownership.store.view.slots.get(4)?.revision).toBe(seen.revision);
  expect(node.told.filter(({ slot }) => slot === 4)).toHaveLength(1);
});
