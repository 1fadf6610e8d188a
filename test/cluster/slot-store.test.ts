import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nodeKey, slotKey } from '../../src/cluster/slot-records.ts';
import type { SlotStore } from '../../src/cluster/slot-store.ts';
import { NatsServer } from '../support/nats-server.ts';
import { eventually } from '../support/wait.ts';
import { dial, nodeRecord, openStore } from './fixtures.ts';

let server: NatsServer;
let mine: SlotStore;
let theirs: SlotStore;
let close: () => Promise<void>;

beforeAll(async () => {
  server = await NatsServer.start();
  const connections = await Promise.all([dial(server), dial(server)]);
  mine = await openStore(connections[0]);
  theirs = await openStore(connections[1]);
  close = async () => {
    await Promise.all([mine.close(), theirs.close()]);
    await Promise.all(connections.map((nc) => nc.close()));
  };
});

afterAll(async () => {
  await close();
  await server.close();
});

const record = { owner: 'nodeaaaa', epoch: 1, hasData: false };

describe('a write', () => {
  test('of a new record succeeds once', async () => {
    const written = await Promise.all([mine.write(slotKey(1), record, 0), theirs.write(slotKey(1), record, 0)]);
    expect(written.filter((revision) => revision !== undefined)).toHaveLength(1);
  });

  test('is in the own view at once, and soon in that of others', async () => {
    const revision = await mine.write(slotKey(2), record, 0);
    expect(mine.view.slots.get(2)).toMatchObject({ revision, record });
    await eventually('the other sees it', () => theirs.view.slots.get(2)?.revision === revision);
    expect(theirs.view.slots.get(2)?.record).toEqual(record);
  });

  test('after a revision that is not the last is refused, and the truth is in the view', async () => {
    const first = (await mine.write(slotKey(3), record, 0))!;
    const second = (await theirs.write(slotKey(3), { ...record, epoch: 2 }, first))!;
    expect(await mine.write(slotKey(3), { ...record, epoch: 3 }, first)).toBeUndefined();
    expect(mine.view.slots.get(3)).toMatchObject({ revision: second, record: { epoch: 2 } });
  });

  test('to a deleted record follows the revision of the deletion', async () => {
    const nc = await dial(server);
    const kv = await nc.jetstream().views.kv('fermata_slots', { bindOnly: true });
    await mine.write(slotKey(4), record, 0);
    await kv.delete(slotKey(4));
    const seen = await eventually('the deletion is seen', () => {
      const found = mine.view.slots.get(4);
      return found?.deleted === true ? found : undefined;
    });
    expect(await mine.write(slotKey(4), record, 0)).toBeUndefined();
    expect(await mine.write(slotKey(4), record, seen.revision)).toBeGreaterThan(seen.revision);
    await nc.close();
  });

  test('without a server fails, and says neither yes nor no', async () => {
    await server.down();
    await expect(mine.write(slotKey(5), record, 0)).rejects.toThrow();
    await server.up();
    await eventually('connected again', () => mine.connected && theirs.connected);
  });
});

describe('the view', () => {
  test('is whole again after the server was away, with what others wrote meanwhile', async () => {
    const revision = await eventually('a write', () => theirs.write(nodeKey('nodeaaaa'), nodeRecord(), 0));
    await eventually('it is seen', () => mine.view.nodes.get('nodeaaaa')?.revision === revision);
    await server.down();
    await server.up();
    await eventually('connected again', () => mine.connected && theirs.connected);
    const next = await theirs.write(nodeKey('nodeaaaa'), nodeRecord({ epoch: 2 }), revision);
    await eventually('that one too', () => mine.view.nodes.get('nodeaaaa')?.revision === next);
    expect(mine.view.slots.get(1)?.record).toEqual(record);
  });

  test('follows a bucket that was lost and made anew, and says so', async () => {
    const vanished: boolean[] = [];
    mine.onVanished(() => vanished.push(true));
    const nc = await dial(server);
    await (await nc.jetstreamManager()).streams.delete('KV_fermata_slots');
    await nc.close();
    // The first write finds nobody there, and makes the bucket.
    await expect(mine.write(slotKey(6), record, 0)).rejects.toThrow();
    expect(await mine.write(slotKey(6), record, 0)).toBe(1);
    await eventually('the old ones are gone', () => mine.view.slots.size === 1);
    expect(mine.view.slots.get(6)?.record).toEqual(record);
    expect(vanished).toEqual([true]);
  });
});
