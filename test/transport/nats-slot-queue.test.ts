import { describe, expect, it } from 'vitest';
import { ackMs, refusedPauseMs } from '../../src/transport/nats-bounds.ts';
import { SlotQueue } from '../../src/transport/nats-slot-queue.ts';

function queueOf(up = true) {
  const published: string[] = [];
  const clock = { ms: 0 };
  const queue = new SlotQueue((frame, link) => {
    frame.publishedMs = clock.ms;
    published.push(`${link}.${frame.seq}`);
  }, up);
  const add = (frames: number): void => {
    for (let n = 0; n < frames; n += 1) queue.add('x', 1, 0);
  };
  const tick = (ms: number): void => {
    clock.ms += ms;
    queue.tick(clock.ms);
  };
  return { queue, clock, add, tick, take: () => published.splice(0) };
}

describe('frames that wait for the stream', () => {
  it('are published at once, and forgotten when they are acknowledged', () => {
    const { queue, add, take } = queueOf();
    add(3);
    expect(take()).toEqual(['1.1', '1.2', '1.3']);
    queue.acknowledged(1, 2);
    queue.acknowledged(1, 2);
    queue.acknowledged(2, 1);
    expect([queue.frames, queue.bytes]).toEqual([2, 2]);
  });

  it('are published again, all in order, when no acknowledgement comes, ever more patiently', () => {
    const { queue, add, tick, take } = queueOf();
    add(2);
    tick(ackMs - 1);
    expect(take()).toEqual(['1.1', '1.2']);
    tick(1);
    expect(take()).toEqual(['1.1', '1.2']);
    tick(ackMs);
    expect(take()).toEqual([]);
    tick(ackMs);
    expect(take()).toEqual(['1.1', '1.2']);
    queue.acknowledged(1, 1);
    tick(ackMs);
    expect(take()).toEqual(['1.2']);
  });

  it('stop when one is refused; the oldest tries again alone, and the rest follow it', () => {
    const { queue, clock, add, tick, take } = queueOf();
    add(3);
    take();
    queue.acknowledged(1, 1);
    queue.refused(1, 2, clock.ms);
    add(1);
    tick(refusedPauseMs - 1);
    expect(take()).toEqual([]);
    tick(1);
    expect(take()).toEqual(['1.2']);
    queue.refused(1, 2, clock.ms);
    tick(refusedPauseMs);
    expect(take()).toEqual(['1.2']);
    add(4);
    queue.acknowledged(1, 2);
    expect(take()).toEqual(['1.3', '1.4']);
    queue.acknowledged(1, 4);
    expect(take()).toEqual([]);
    queue.acknowledged(1, 3);
    expect(take()).toEqual(['1.5', '1.6', '1.7', '1.8']);
    for (const seq of [5, 6, 7, 8]) queue.acknowledged(1, seq);
    add(1);
    expect(take()).toEqual(['1.9']);
  });

  it('wait without a connection, and all are published when it is back', () => {
    const { queue, add, tick, take } = queueOf(false);
    add(2);
    tick(ackMs * 10);
    expect(take()).toEqual([]);
    queue.back();
    expect(take()).toEqual(['1.1', '1.2']);
    queue.away();
    add(1);
    expect(take()).toEqual([]);
    queue.back();
    expect(take()).toEqual(['1.1', '1.2', '1.3']);
  });

  it('are given up together, and the next link begins at one', () => {
    const { queue, add, take } = queueOf();
    add(2);
    queue.reset();
    expect([queue.frames, queue.bytes, queue.link]).toEqual([0, 0, 2]);
    queue.acknowledged(1, 1);
    add(1);
    expect(take()).toEqual(['1.1', '1.2', '2.1']);
  });
});
