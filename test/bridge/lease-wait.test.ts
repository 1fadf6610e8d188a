import { expect, test } from 'vitest';
import { LeaseWait } from '../../src/bridge/lease-wait.ts';
import type { SlotFrame } from '../../src/transport/contract.ts';
import { eventually } from '../support/wait.ts';

function rig(lease: { held: boolean } | undefined) {
  const read: string[] = [];
  const wait = new LeaseWait((frame) => read.push(frame.text), lease);
  const pass = (text: string, slot = 1) => wait.pass({ text, slot } as SlotFrame);
  return { read, wait, pass };
}

test('without a lease frames wait, in order, and those that come then do not overtake them', async () => {
  const lease = { held: true };
  const { read, wait, pass } = rig(lease);
  pass('a');
  lease.held = false;
  pass('b');
  lease.held = true;
  pass('c');
  expect(read).toEqual(['a']);
  await eventually('all frames', () => read.length === 3);
  expect(read).toEqual(['a', 'b', 'c']);
  pass('d');
  expect(read).toEqual(['a', 'b', 'c', 'd']);
  wait.close();
});

test('what waits of a slot that is given up is handed back, and read no more', async () => {
  const lease = { held: false };
  const { read, wait, pass } = rig(lease);
  pass('one', 1);
  pass('two', 2);
  expect(wait.forget(1).map(({ text }) => text)).toEqual(['one']);
  lease.held = true;
  await eventually('the other frame', () => read.length > 0);
  expect(read).toEqual(['two']);
  wait.close();
});

test('where nobody gives leases nothing waits', () => {
  const { read, pass } = rig(undefined);
  pass('a');
  expect(read).toEqual(['a']);
});
