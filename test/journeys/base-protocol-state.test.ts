/**
 * Whatever a handler does to its state, the patches bring a stock client to the same one. Its rules are not the RFC's:
 * `add` in a list sets an index, so that an insertion must be told as replacements and one item more at the end.
 */
import { deepStrictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TestServer } from '../../src/testing/serve.ts';
import type { Edit } from '../support/apps/stock-edits.ts';
import { app } from '../support/apps/stock.ts';
import { getState } from '../support/http.ts';
import type { StockClient } from '../support/stock-client.ts';
import { settled, StockStage } from '../support/stock-stage.ts';

const stage = new StockStage();
let server: TestServer;
let writer: StockClient;
let reader: StockClient;
beforeAll(async () => {
  server = stage.serve(app);
  [writer, reader] = [await stage.connect(server.url), await stage.connect(server.url)];
});
afterAll(() => stage.end());

let sheets = 0;

async function stateOf(actor: string, id: string): Promise<unknown> {
  return (await getState(server.url, actor, id)).json();
}

/** Every turn on the way is compared, by a client that watches its own calls and by one that watches another's. */
async function follow(turns: readonly (readonly Edit[])[]): Promise<unknown> {
  const id = `sheet ${++sheets}`;
  const [mine, yours] = [writer.actor('sheet', id), reader.actor('sheet', id)];
  const leaves = [mine.subscribe(), yours.subscribe()];
  await settled(yours);
  let state: unknown;
  for (const turn of turns) {
    await mine.call('edit', turn);
    state = await stateOf('sheet', id);
    // Not by `expect`, which takes a key named `constructor` for a class.
    deepStrictEqual(mine.state, state);
  }
  await settled(yours);
  deepStrictEqual(yours.state, state);
  expect([...writer.violations, ...reader.violations]).toEqual([]);
  for (const leave of leaves) leave();
  for (const handle of [mine, yours]) handle.dispose();
  return state;
}

const edit = (fields: Partial<Edit>): Edit => ({ at: [], act: 'set', key: 'k', index: 0, value: 1, ...fields });
const numbers = [5, 3, 9, 1, 7];
const list = edit({ key: 'list', value: numbers });
const inList = (fields: Partial<Edit>): Edit => edit({ at: [0], ...fields });

const changes: readonly (readonly [string, readonly Edit[], unknown])[] = [
  ['a push', [inList({ act: 'push', value: 2 })], [...numbers, 2]],
  ['an insertion at the start', [inList({ act: 'unshift', value: 2 })], [2, ...numbers]],
  ['an insertion in the middle', [inList({ act: 'insert', index: 2, value: 2 })], [5, 3, 2, 2, 9, 1, 7]],
  ['a splice', [inList({ act: 'splice', index: 1, value: 'x' })], [5, 'x', 1, 'x', 1, 7]],
  ['a deletion in the middle', [inList({ act: 'delete', index: 1 })], [5, 9, 1, 7]],
  ['a shift', [inList({ act: 'shift' })], [3, 9, 1, 7]],
  ['a pop', [inList({ act: 'pop' })], [5, 3, 9, 1]],
  ['a sort', [inList({ act: 'sort' })], [1, 3, 5, 7, 9]],
  ['a reversal', [inList({ act: 'reverse' })], [7, 1, 9, 3, 5]],
  ['a shrunken length', [inList({ act: 'shrink', index: 2 })], [5, 3]],
  ['a list that is emptied', [inList({ act: 'clear' })], []],
  ['a list that is replaced', [edit({ key: 'list', value: [8] })], [8]],
  ['a move within a list', [inList({ act: 'move', index: 3 })], [1, 5, 3, 9, 7]],
  ['a shift and a push', [inList({ act: 'shift' }), inList({ act: 'push', value: 2 })], [3, 9, 1, 7, 2]],
  ['a push and a shift', [inList({ act: 'push', value: 2 }), inList({ act: 'shift' })], [3, 9, 1, 7, 2]],
];

test.each(changes)('%s in a list arrives', async (_, turn, wanted) => {
  expect(await follow([[list], turn])).toEqual({ list: wanted });
});

test.each([
  'a/b',
  'a~b',
  '~1',
  '~0',
  '~01',
  '/',
  '//',
  '-',
  '0',
  'length',
  'constructor',
  'toString',
  ' ',
  '"\\',
  'ü😀',
])('the key %j arrives: set, changed, looked into, removed', async (key) => {
  const inside = edit({ key: 'in', value: { [key]: { [key]: [1] } } });
  const last = await follow([
    [edit({ key, value: 1 })],
    [edit({ key, value: 2 })],
    [edit({ key, value: { [key]: [1] } })],
    [edit({ at: [0], key, value: [1, 2] })],
    [edit({ at: [0, 0], act: 'push', value: 3 })],
    [edit({ at: [0], act: 'clear' })],
    [edit({ act: 'clear' })],
    [inside],
    [edit({ at: [0, 0], key, value: 'x' })],
  ]);
  deepStrictEqual(last, { in: { [key]: { [key]: 'x' } } });
});

test('a state that is a list arrives', async () => {
  const id = 'l1';
  const scroll = reader.actor('list', id);
  scroll.subscribe();
  await settled(scroll);
  for (const items of [[1, 2, 3], [3, 2, 1, 0], [], [7], [7, 8, 9], [9]]) {
    await writer.actor('list', id).call('put', items);
    await settled(scroll);
    expect(scroll.state).toStrictEqual(items);
  }
});

const keys = fc.constantFrom('a', 'b', 'c', '', 'a/b', '~', '~1', '-', '0', 'length', 'constructor', 'ü');
const value = fc.letrec<{ any: unknown }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constantFrom<unknown>(null, true, 0, 1, -0.5, '', 'x', 'y/z'),
    fc.array(tie('any'), { maxLength: 4 }),
    fc.dictionary(keys, tie('any'), { maxKeys: 3, noNullPrototype: true }),
  ),
})).any;
const acts = ['set', 'delete', 'push', 'unshift', 'insert', 'replace', 'pop', 'shift', 'splice', 'reverse'] as const;
const moreActs = ['unset', 'sort', 'shrink', 'clear', 'again', 'move'] as const;
const edits: fc.Arbitrary<Edit> = fc.record({
  at: fc.array(fc.nat(9), { maxLength: 3 }),
  act: fc.constantFrom(...acts, ...moreActs),
  key: keys,
  index: fc.nat(9),
  value,
});

test('whatever is done arrives', async () => {
  const begin = [list, edit({ key: 'map', value: { x: { y: [1] } } })];
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(edits, { minLength: 1, maxLength: 4 }), { maxLength: 8 }), async (turns) => {
      await follow([begin, ...turns]);
    }),
    { numRuns: 80 },
  );
});
