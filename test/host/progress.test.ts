import { Worker } from 'node:worker_threads';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { Progress } from '../../src/host/progress.ts';

test('what one side sets, the other reads, through the memory alone', () => {
  const progress = new Progress();
  expect([progress.done, progress.total]).toEqual([0, 0]);
  new Progress(progress.memory).set(12_345, 30_000);
  expect([progress.done, progress.total]).toEqual([12_345, 30_000]);
});

test('it can be read while the other thread is busy', async () => {
  const progress = new Progress();
  const url = new URL('../../src/host/progress.ts', import.meta.url).href;
  const code = `
    import { workerData } from 'node:worker_threads';
    import { Progress } from ${JSON.stringify(url)};
    new Progress(workerData.memory).set(1, 2);
    while (Atomics.load(new Int32Array(workerData.end), 0) === 0);`;
  const end = new SharedArrayBuffer(4);
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
    workerData: { memory: progress.memory, end },
  });
  const ended = once(worker, 'exit');
  await expect.poll(() => progress.done, { timeout: 10_000 }).toBe(1);
  expect(progress.total).toBe(2);
  Atomics.store(new Int32Array(end), 0, 1);
  await ended;
});
