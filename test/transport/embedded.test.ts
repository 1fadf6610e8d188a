import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { gatewayLink, layCables, shardLink } from '../../src/transport/embedded.ts';
import { transportContract, until } from './contract.ts';

transportContract('message ports', async (gateways, shards) => {
  const { toShards, toGateways } = layCables(gateways, shards);
  return { gateways: toShards.map(gatewayLink), shards: toGateways.map(shardLink) };
});

describe('the embedded transport across threads', () => {
  it('carries frames in order to a worker and back, and lets the worker end', async () => {
    const { toShards, toGateways } = layCables(2, 1);
    const ports = toGateways[0]!;
    const worker = new Worker(new URL('./echo-shard.ts', import.meta.url), {
      workerData: { ports },
      transferList: ports,
    });
    const links = toShards.map(gatewayLink);
    const received: string[][] = [[], []];
    for (const [at, link] of links.entries()) link.onFrame((frame) => received[at]!.push(frame));
    for (let n = 0; n < 1000; n += 1) for (const link of links) link.send(0, String(n));
    await until(() => received.every((list) => list.length === 1000));
    for (const [at, list] of received.entries())
      expect(list).toEqual(Array.from({ length: 1000 }, (_, n) => `${at}:${n}`));
    // What was sent before a close still arrives.
    const ended = once(worker, 'exit');
    links[0]!.send(0, 'bye');
    await until(() => received[0]!.at(-1) === '0:bye');
    expect(await ended).toEqual([0]);
    for (const link of links) link.close();
  });
});
