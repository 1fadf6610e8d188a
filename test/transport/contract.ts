/**
 * What every transport promises, as one suite. An implementation brings `open`: the links of all gateways and all shards
 * of one set, joined, in this process. Frames of a gateway to a shard, and back, arrive whole, once and in order.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { GatewayLink, ShardLink } from '../../src/transport/contract.ts';

export interface Joined {
  readonly gateways: readonly GatewayLink[];
  readonly shards: readonly ShardLink[];
}

export function transportContract(name: string, open: (gateways: number, shards: number) => Promise<Joined>): void {
  const opened: Joined[] = [];

  async function join(gateways: number, shards: number): Promise<Joined> {
    const joined = await open(gateways, shards);
    opened.push(joined);
    return joined;
  }

  afterEach(() => {
    for (const { gateways, shards } of opened.splice(0)) for (const link of [...gateways, ...shards]) link.close();
  });

  describe(`the transport contract, over ${name}`, () => {
    it('tells each end how many others there are', async () => {
      const { gateways, shards } = await join(2, 3);
      expect(gateways.map((link) => link.shards)).toEqual([3, 3]);
      expect(shards.map((link) => link.gateways)).toEqual([2, 2, 2]);
    });

    it('delivers frames to the one they are for, with the number of who sent them', async () => {
      const { gateways, shards } = await join(2, 3);
      const arrived: string[] = [];
      for (const [at, shard] of shards.entries()) {
        shard.onFrame((frame, gateway) => {
          arrived.push(`${frame} at s${at} from g${gateway}`);
          shard.send(gateway, `re ${frame}`);
        });
      }
      for (const [at, gateway] of gateways.entries()) {
        gateway.onFrame((frame, shard) => arrived.push(`${frame} at g${at} from s${shard}`));
        for (let shard = 0; shard < 3; shard += 1) gateway.send(shard, `g${at}s${shard}`);
      }
      await until(() => arrived.length === 12);
      expect(arrived.sort()).toEqual(
        [0, 1]
          .flatMap((g) =>
            [0, 1, 2].flatMap((s) => [`g${g}s${s} at s${s} from g${g}`, `re g${g}s${s} at g${g} from s${s}`]),
          )
          .sort(),
      );
    });

    it('keeps the order of each pair, in both directions, over thousands of frames', async () => {
      const { gateways, shards } = await join(2, 2);
      const frames = 2000;
      const received = new Map<string, number[]>();
      const note = (pair: string, frame: string) => {
        const list = received.get(pair) ?? [];
        received.set(pair, list);
        list.push(Number(frame));
      };
      for (const [at, shard] of shards.entries()) {
        shard.onFrame((frame, gateway) => {
          note(`g${gateway}→s${at}`, frame);
          shard.send(gateway, frame);
        });
      }
      for (const [at, gateway] of gateways.entries()) {
        gateway.onFrame((frame, shard) => note(`s${shard}→g${at}`, frame));
      }
      for (let n = 0; n < frames; n += 1) {
        for (const gateway of gateways) for (let shard = 0; shard < 2; shard += 1) gateway.send(shard, String(n));
      }
      await until(() => [...received.values()].reduce((sum, list) => sum + list.length, 0) === frames * 8);
      const inOrder = Array.from({ length: frames }, (_, n) => n);
      expect(received.size).toBe(8);
      for (const list of received.values()) expect(list).toEqual(inOrder);
    });

    it('delivers whole what is empty, large, or of any script', async () => {
      const { gateways, shards } = await join(1, 1);
      const texts = ['', 'x', '😀 é \u0000 \u2028 \ud800', 'ü'.repeat(1024 * 1024), '{"a":"\\""}'];
      const received: string[] = [];
      shards[0]!.onFrame((frame, gateway) => shards[0]!.send(gateway, frame));
      gateways[0]!.onFrame((frame) => received.push(frame));
      for (const text of texts) gateways[0]!.send(0, text);
      await until(() => received.length === texts.length);
      expect(received).toEqual(texts);
    });

    it('holds frames that were sent before the other end listened', async () => {
      const { gateways, shards } = await join(1, 1);
      gateways[0]!.send(0, 'early');
      await delay(20);
      const received: string[] = [];
      shards[0]!.onFrame((frame) => received.push(frame));
      await until(() => received.length === 1);
      expect(received).toEqual(['early']);
    });

    it('takes frames for nobody, sends nothing after close, and closes twice', async () => {
      const { gateways, shards } = await join(1, 2);
      const received: string[] = [];
      for (const shard of shards) shard.onFrame((frame) => received.push(frame));
      const [gateway] = gateways;
      gateway!.send(7, 'to nobody');
      gateway!.send(0, 'before');
      await until(() => received.length === 1);
      gateway!.close();
      gateway!.close();
      gateway!.send(0, 'after');
      shards[1]!.send(0, 'to a closed end');
      shards[1]!.close();
      shards[1]!.send(0, 'after');
      await delay(20);
      expect(received).toEqual(['before']);
    });
  });
}

export async function until(holds: () => boolean, msMax = 10_000): Promise<void> {
  const end = performance.now() + msMax;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`waited ${msMax} ms for: ${holds.toString()}`);
    await delay(2);
  }
}
