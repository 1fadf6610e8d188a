import { afterEach, expect, test } from 'vitest';
import { Thread } from '../../src/host/thread.ts';

const threads: Thread[] = [];

function start(data: unknown = {}): Thread {
  const thread = new Thread('answering', '../test/host/threads/answering', data, []);
  threads.push(thread);
  return thread;
}

afterEach(async () => {
  await Promise.all(threads.splice(0).map((thread) => thread.terminate()));
});

test('a question gets its own answer, also when answers come in another order', async () => {
  const thread = start();
  const slow = thread.ask<string>('later', 'slow');
  const fast = thread.ask<number>('double', 21);
  expect(await Promise.all([slow, fast])).toEqual(['slow', 42]);
});

test('the worker gets the data it was started with', async () => {
  expect(await start({ shard: 3 }).ask('data')).toEqual({ shard: 3 });
});

test('what the answer throws is thrown at the asker, and the thread lives on', async () => {
  const thread = start();
  await expect(thread.ask('refuse')).rejects.toThrow('not today');
  expect(await thread.ask('double', 2)).toBe(4);
});

test('a question nobody answers is refused by name', async () => {
  await expect(start().ask('sing')).rejects.toThrow('no answer to "sing" in this thread');
});

test('a thread that crashes rejects every open question and tells why it died', async () => {
  const thread = start();
  const waiting = thread.ask('never');
  const crashing = thread.ask('crash');
  await expect(waiting).rejects.toThrow('out of luck');
  await expect(crashing).rejects.toThrow('out of luck');
  expect(await thread.died).toMatchObject({ code: 1, error: { message: 'out of luck' } });
});

test('a thread that exits rejects open questions with its code', async () => {
  const thread = start();
  await expect(thread.ask('exit')).rejects.toThrow('thread answering ended with code 3');
  expect(await thread.died).toEqual({ code: 3, error: undefined });
});

test('terminate() ends a thread that is busy answering', async () => {
  const thread = start();
  const waiting = expect(thread.ask('never')).rejects.toThrow('ended with code 1');
  await thread.ask('double', 1);
  await thread.terminate();
  await waiting;
});

test('a question asked after the death does not wait for ever', async () => {
  const thread = start();
  await thread.terminate();
  await thread.died;
  await expect(thread.ask('double', 1)).rejects.toThrow();
});
