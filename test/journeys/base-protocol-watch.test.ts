/** The judges of the other base-protocol tests, judged: a frame that no base client was promised must not pass them. */
import { describe, expect, test } from 'vitest';
import { StockStore } from '../support/stock-store.ts';
import { type Frame, StockWatch } from '../support/stock-watch.ts';
import type { PatchOp } from '../support/stock-patches.ts';

const at = { actor: 'room', actorId: 'r' };
const welcome = { type: 'welcome', clientId: 'c1' };
const snapshot = { type: 'state:snapshot', ...at, state: {} };
const patch = { type: 'state:patch', ...at, patches: [{ op: 'add', path: '/a', value: 1 }] };
const event = { type: 'event', ...at, event: 'said', payload: 1 };
const result = { type: 'rpc:result', id: 'x', result: 1 };
const asked: readonly Frame[] = [
  { type: 'state:sub', ...at },
  { type: 'event:sub', ...at },
  { type: 'rpc', id: 'x', ...at, method: 'say' },
];

function judged(received: readonly unknown[], sent: readonly Frame[] = asked): string[] {
  const violations: string[] = [];
  const watch = new StockWatch((violation) => violations.push(violation));
  for (const frame of sent) watch.sent(JSON.stringify(frame));
  for (const frame of received) watch.received(typeof frame === 'string' ? frame : JSON.stringify(frame));
  return violations;
}

test('what the base set promises passes', () => {
  const shutdown = { type: 'server:shutdown', reason: 'deployment', reconnectInMs: 1 };
  expect(judged([welcome, snapshot, patch, event, result, snapshot, patch, shutdown])).toEqual([]);
  expect(judged([welcome, { type: 'rpc:result', id: 'x', error: 'no' }])).toEqual([]);
});

test.each<[string, unknown[], Frame[]?]>([
  ['anything before welcome', [result]],
  ['a second welcome', [welcome, welcome]],
  ['a welcome with a session', [{ ...welcome, sessionId: 's' }]],
  ['a frame of the additions', [welcome, { type: 'pong' }]],
  ['a result with an outcome', [welcome, { ...result, outcome: 'ok' }]],
  ['a result for nobody', [welcome, { ...result, id: 'y' }]],
  ['two results for one call', [welcome, result, result]],
  ['a result with an error', [welcome, { ...result, error: 'no' }]],
  ['an empty error', [welcome, { type: 'rpc:result', id: 'x', error: '' }]],
  ['a patch before its snapshot', [welcome, patch, snapshot]],
  ['a numbered patch', [welcome, snapshot, { ...patch, seq: 1 }]],
  ['a patch of nothing', [welcome, snapshot, { ...patch, patches: [] }]],
  ['a patch of another kind', [welcome, snapshot, { ...patch, patches: [{ op: 'move', path: '/a', from: '/b' }] }]],
  ['a removal with a value', [welcome, snapshot, { ...patch, patches: [{ op: 'remove', path: '/a', value: 1 }] }]],
  ['a snapshot with its epoch', [welcome, { ...snapshot, epoch: 'e', seq: 1 }]],
  ['a snapshot that nobody asked for', [welcome, snapshot], []],
  ['an event that nobody asked for', [welcome, event], [asked[0]!]],
  ['a numbered event', [welcome, { ...event, seq: 1 }]],
  ['no object', [welcome, '[]']],
  ['no JSON', [welcome, '{']],
])('%s does not pass', (_, received, sent) => {
  expect(judged(received, sent)).toHaveLength(1);
});

describe('patches that stock rules would misread are reported:', () => {
  test.each<[string, PatchOp]>([
    ['an insertion', { op: 'add', path: '/list/0', value: 0 }],
    ['an item past the end', { op: 'add', path: '/list/4', value: 0 }],
    ['the length of a list', { op: 'replace', path: '/list/length', value: 0 }],
    ['a removal from the middle', { op: 'remove', path: '/list/0' }],
    ['a path to nowhere', { op: 'add', path: '/map/x/y', value: 0 }],
    ['a replacement of nothing', { op: 'replace', path: '/map/x', value: 0 }],
    ['a removal of nothing', { op: 'remove', path: '/map/x' }],
  ])('%s', (_, op) => {
    const violations: string[] = [];
    const store = new StockStore((violation) => violations.push(violation));
    store.set({ list: [1, 2, 3], map: {} });
    store.apply([op]);
    expect(violations).toHaveLength(1);
    expect(store.state).toEqual({ list: [1, 2, 3], map: {} });
  });

  test('while the others arrive', () => {
    const violations: string[] = [];
    const store = new StockStore((violation) => violations.push(violation));
    store.set({ list: [1, 2, 3], map: {} });
    store.apply([
      { op: 'add', path: '/list/3', value: 4 },
      { op: 'replace', path: '/list/0', value: 0 },
      { op: 'add', path: '/map/a~1b~0', value: {} },
      { op: 'remove', path: '/list/3' },
    ]);
    expect(violations).toEqual([]);
    expect(store.state).toEqual({ list: [0, 2, 3], map: { 'a/b~': {} } });
  });
});
