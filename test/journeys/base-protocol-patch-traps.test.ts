/**
 * Known traps in patches: stock clients apply them by rules that are not quite those of RFC 6902, and nothing tells them
 * when they have gone astray. One test for each, named by the trap.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TestServer } from '../../src/testing/serve.ts';
import type { Edit } from '../support/apps/stock-edits.ts';
import { app } from '../support/apps/stock.ts';
import { getState } from '../support/http.ts';
import type { StockClient } from '../support/stock-client.ts';
import type { PatchOp } from '../support/stock-patches.ts';
import { settled, StockStage } from '../support/stock-stage.ts';

const stage = new StockStage();
let server: TestServer;
let ada: StockClient;
let bob: StockClient;
beforeAll(async () => {
  server = stage.serve(app);
  [ada, bob] = [await stage.connect(server.url), await stage.connect(server.url)];
});
afterAll(() => stage.end());

test('add in a list sets an index: insertions are replacements and one more at the end', async () => {
  const found = await patchesOf([set('list', [1, 2, 3])], [{ ...set('', 9), at: [0], act: 'unshift' }]);
  expect(found).toContainEqual({ op: 'add', path: '/list/3', value: 3 });
  expect(found.filter(({ op }) => op === 'add')).toHaveLength(1);
});

test('a list shrinks by removes from its end, not by its length', async () => {
  const found = await patchesOf([set('list', [1, 2, 3, 4])], [{ ...set('', 0), at: [0], act: 'shrink', index: 2 }]);
  expect(found).toEqual([
    { op: 'remove', path: '/list/3' },
    { op: 'remove', path: '/list/2' },
  ]);
});

test('keys with "/" and "~" are escaped, "~" first', async () => {
  const found = await patchesOf([set('x', 1)], [set('a/b~c~1', 1)]);
  expect(found).toEqual([{ op: 'add', path: '/a~1b~0c~01', value: 1 }]);
});

test('the key "-" of an object is a key, not the end of a list', async () => {
  await patchesOf([set('x', { k: [1] })], [{ ...set('-', 2), at: [0] }]);
});

test('the path "/" is the root to a stock client, and the key "" to everybody else', async () => {
  await patchesOf([set('x', 1)], [set('', 2)]);
  await patchesOf([set('x', 1), set('', { y: 1 })], [{ ...set('z', 2), at: [0] }]);
  await patchesOf([set('x', 1), set('', 1)], [{ ...set('', 0), act: 'delete', index: 1 }]);
});

test('a property that is set to undefined is removed', async () => {
  const found = await patchesOf([set('x', 1), set('y', 1)], [{ ...set('', 0), act: 'unset', index: 0 }]);
  expect(found).toEqual([{ op: 'remove', path: '/x' }]);
});

test('a change of nothing is no frame', async () => {
  const before = [set('x', { y: 1 })];
  expect(await patchesOf(before, [])).toEqual([]);
  expect(await patchesOf(before, [{ ...set('y', 1), at: [0] }])).toEqual([]);
  // Away and back may be told or not: the watch sees to it that no frame is empty.
  await patchesOf(before, [set('x', 5), set('x', { y: 1 })]);
});

function set(key: string, value: unknown): Edit {
  return { at: [], act: 'set', key, index: 0, value };
}

let sheets = 0;

/** The patches of the second turn, after which the client must be where the server is. */
async function patchesOf(before: Edit[], turn: Edit[]): Promise<PatchOp[]> {
  const id = `sheet ${++sheets}`;
  await ada.actor('sheet', id).call('edit', before);
  const sheet = bob.actor('sheet', id);
  sheet.subscribe();
  await settled(sheet);
  const from = bob.frames.length;
  await ada.actor('sheet', id).call('edit', turn);
  await settled(sheet);
  expect(sheet.state).toEqual((await getState(server.url, 'sheet', id)).json());
  return bob.frames.slice(from).flatMap((frame) => (frame['patches'] as PatchOp[] | undefined) ?? []);
}
