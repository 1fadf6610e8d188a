import { describe, expect, it } from 'vitest';
import { Metrics } from '../../src/cli/metrics.ts';
import { type Sample, sample } from '../../src/host/meters.ts';
import type { Thread } from '../../src/host/thread.ts';

/** As much of a thread as is asked here. */
function thread(name: string, answer: () => Promise<Sample[]>): Thread {
  return { name, ask: answer } as unknown as Thread;
}

function counting(name: string, calls: number): Thread {
  return thread(name, () =>
    Promise.resolve([sample('fermata_activations_total', calls), sample('fermata_actors', calls)]),
  );
}

function valueOf(text: string, series: string): number | undefined {
  const line = text.split('\n').find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.split(' ')[1]);
}

describe('the text of /metrics', () => {
  it('adds up what the threads tell', async () => {
    const threads = [counting('shard-0', 2), counting('shard-1', 3)];
    const metrics = new Metrics({ threads: () => threads, own: () => Promise.resolve([sample('fermata_ready', 1)]) });
    const text = await metrics.text();
    expect(valueOf(text, 'fermata_activations_total')).toBe(5);
    expect(valueOf(text, 'fermata_actors')).toBe(5);
    expect(valueOf(text, 'fermata_ready')).toBe(1);
    expect(text).toContain('# TYPE fermata_activations_total counter');
    expect(valueOf(text, 'process_resident_memory_bytes')).toBeGreaterThan(1e6);
  });

  it('keeps the counters of threads that were replaced, and forgets their gauges', async () => {
    let threads = [counting('shard-0', 10)];
    const metrics = new Metrics({ threads: () => threads, own: () => Promise.resolve([]) });
    await metrics.text();
    for (const calls of [1, 2, 4]) {
      threads = [counting('shard-0', calls)];
      await metrics.text();
    }
    const text = await metrics.text();
    expect(valueOf(text, 'fermata_activations_total')).toBe(17);
    expect(valueOf(text, 'fermata_actors')).toBe(4);
  });

  it('says which thread did not answer, keeps its counters and leaves its gauges out', async () => {
    let answers = true;
    const told = [sample('fermata_activations_total', 7), sample('fermata_actors', 7)];
    const stuck = thread('shard-0', () => (answers ? Promise.resolve(told) : new Promise(() => undefined)));
    const dead = thread('shard-1', () => Promise.reject(new Error('it died')));
    const metrics = new Metrics({ threads: () => [stuck, dead], own: () => Promise.resolve([]) });
    expect(valueOf(await metrics.text(), 'fermata_thread_up{thread="shard-0"}')).toBe(1);
    answers = false;
    const text = await metrics.text();
    expect(valueOf(text, 'fermata_thread_up{thread="shard-0"}')).toBe(0);
    expect(valueOf(text, 'fermata_thread_up{thread="shard-1"}')).toBe(0);
    expect(valueOf(text, 'fermata_activations_total')).toBe(7);
    expect(valueOf(text, 'fermata_actors')).toBeUndefined();
  });

  it('asks the threads once for all who ask at the same time', async () => {
    let asked = 0;
    const one = thread('keeper', () => {
      asked += 1;
      return Promise.resolve([]);
    });
    const metrics = new Metrics({ threads: () => [one], own: () => Promise.resolve([]) });
    const texts = await Promise.all([metrics.text(), metrics.text(), metrics.text()]);
    expect(new Set(texts).size).toBe(1);
    expect(asked).toBe(1);
  });
});
