/** A worker thread for thread.test.ts: answers a few questions, and dies when asked to. */
import { workerData } from 'node:worker_threads';
import { answerMain } from '../../../src/host/thread.ts';

answerMain({
  data: () => workerData as unknown,
  double: (argument) => Number(argument) * 2,
  later: async (argument) => {
    await new Promise((resolve) => setImmediate(resolve));
    return argument;
  },
  refuse: () => {
    throw new Error('not today');
  },
  never: () => new Promise(() => {}),
  exit: () => process.exit(3),
  crash: () => {
    setImmediate(() => {
      throw new Error('out of luck');
    });
    return new Promise(() => {});
  },
});
