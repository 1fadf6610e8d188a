import { connect, type NatsConnection, RetentionPolicy, StorageType } from 'nats';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buckets, streams, subjects } from '../../src/transport/nats-names.ts';
import { ensureStreams, StreamMismatchError } from '../../src/transport/nats-streams.ts';
import { NatsServer } from '../support/nats-server.ts';

let server: NatsServer;
let nc: NatsConnection;

beforeEach(async () => {
  server = await NatsServer.start();
  nc = await connect({ servers: server.url });
});

afterEach(async () => {
  await nc.close();
  await server.close();
});

describe('the streams on NATS', () => {
  it('are made as they must be, by whoever comes first', async () => {
    const settings = { replicas: 1, callsBytesMax: 64 * 1024 * 1024 };
    await Promise.all([ensureStreams(nc, settings), ensureStreams(nc, settings)]);
    await ensureStreams(nc, settings);
    const manager = await nc.jetstreamManager();
    expect((await manager.streams.info(streams.calls)).config).toMatchObject({
      subjects: ['fermata.calls.*'],
      retention: 'workqueue',
      storage: 'file',
      discard: 'new',
      discard_new_per_subject: true,
      max_msgs_per_subject: 20_000,
      max_bytes: 64 * 1024 * 1024,
      max_age: 0,
    });
    expect((await manager.streams.info(streams.dead)).config).toMatchObject({ discard: 'old', storage: 'file' });
    const bucket = await nc.jetstream().views.kv(buckets.slots, { bindOnly: true });
    const revision = await bucket.create('slot.1', 'a');
    await bucket.update('slot.1', 'b', revision);
    await expect(bucket.update('slot.1', 'c', revision)).rejects.toThrow('wrong last sequence');
    expect((await bucket.status()).history).toBe(1);
  });

  it('are made once when many processes start for the first time at the same moment', async () => {
    const others = await Promise.all(Array.from({ length: 6 }, () => connect({ servers: server.url })));
    try {
      await Promise.all(others.map((other) => ensureStreams(other, { replicas: 1, callsBytesMax: 64 * 1024 * 1024 })));
      const names = await (await nc.jetstreamManager()).streams.names().next();
      expect(names.toSorted()).toEqual([streams.calls, streams.dead, `KV_${buckets.slots}`]);
    } finally {
      await Promise.all(others.map((other) => other.close()));
    }
  });

  it('keep the sizes that an operator gave them', async () => {
    await ensureStreams(nc, { replicas: 1 });
    const manager = await nc.jetstreamManager();
    const { config } = await manager.streams.info(streams.calls);
    await manager.streams.update(streams.calls, { ...config, max_msgs_per_subject: 7 });
    await ensureStreams(nc, { replicas: 1 });
    expect((await manager.streams.info(streams.calls)).config.max_msgs_per_subject).toBe(7);
  });

  it.each([
    ['retention', { retention: RetentionPolicy.Limits }, '"limits"', '"workqueue"'],
    ['storage', { storage: StorageType.Memory }, '"memory"', '"file"'],
    ['subjects', { subjects: ['fermata.calls.1'] }, '["fermata.calls.1"]', '["fermata.calls.*"]'],
    ['discard', {}, '"old"', '"new"'],
  ])('with another %s are refused with what to do', async (field, odd, found, wanted) => {
    const manager = await nc.jetstreamManager();
    const retention = RetentionPolicy.Workqueue;
    await manager.streams.add({ name: streams.calls, subjects: [subjects.allCalls], retention, ...odd });
    const refused = ensureStreams(nc, { replicas: 1 });
    await expect(refused).rejects.toBeInstanceOf(StreamMismatchError);
    await expect(refused).rejects.toMatchObject({ stream: streams.calls, field, found, wanted });
    await expect(refused).rejects.toThrow(`delete it (nats stream rm ${streams.calls})`);
  });
});
