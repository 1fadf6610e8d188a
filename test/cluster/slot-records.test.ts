import { describe, expect, test } from 'vitest';
import { nextEpoch, parseKey, parseNode, parseSlot } from '../../src/cluster/slot-records.ts';

describe('keys', () => {
  test('are read for nodes and slots', () => {
    expect(parseKey('node.abcdefgh')).toEqual({ kind: 'node', id: 'abcdefgh' });
    expect(parseKey('slot.0')).toEqual({ kind: 'slot', slot: 0 });
    expect(parseKey('slot.63')).toEqual({ kind: 'slot', slot: 63 });
  });

  test.each(['', 'slot', 'slot.64', 'slot.-1', 'slot.01', 'slot.1.2', 'node.A', 'node.', 'doubt.3', 'node.abcdefgh.x'])(
    'are none of ours: %s',
    (key) => {
      expect(parseKey(key)).toBeUndefined();
    },
  );
});

describe('records', () => {
  const node = { epoch: 3, boot: 'bootboot1', state: 'up', leaseMs: 10_000, atMs: 1 };
  const slot = { owner: 'nodenode1', epoch: 3, hasData: false };

  test('are read as they were written, and nothing more', () => {
    expect(parseNode(JSON.stringify({ ...node, more: 1 }))).toEqual(node);
    expect(parseSlot(JSON.stringify({ ...slot, more: 1 }))).toEqual(slot);
  });

  test.each([
    '',
    'null',
    '[]',
    '{',
    '7',
    JSON.stringify({ ...node, epoch: -1 }),
    JSON.stringify({ ...node, epoch: 1e300 }),
    JSON.stringify({ ...node, epoch: '3' }),
    JSON.stringify({ ...node, boot: 'a.b.c.d.e.f' }),
    JSON.stringify({ ...node, state: 'here' }),
    JSON.stringify({ ...node, leaseMs: 0 }),
    JSON.stringify({ ...node, leaseMs: 1e12 }),
    JSON.stringify({ ...node, atMs: null }),
  ])('are no nodes: %s', (text) => {
    expect(parseNode(text)).toBeUndefined();
  });

  test.each([
    '',
    'null',
    JSON.stringify({ ...slot, owner: '' }),
    JSON.stringify({ ...slot, owner: 'fermata.calls.>' }),
    JSON.stringify({ ...slot, epoch: 1.5 }),
    JSON.stringify({ ...slot, hasData: 'no' }),
  ])('are no slots: %s', (text) => {
    expect(parseSlot(text)).toBeUndefined();
  });
});

test('epochs rise by one, and the first is above all that an earlier store may have given', () => {
  const today = Date.UTC(2026, 6, 1);
  const first = nextEpoch(0, today);
  expect(nextEpoch(first, today)).toBe(first + 1);
  expect(nextEpoch(0, today + 60_000)).toBeGreaterThan(first + 10);
  expect(nextEpoch(0, 0)).toBe(1);
});
