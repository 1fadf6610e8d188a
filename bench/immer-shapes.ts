/**
 * Turns per second of the state engine alone, by shape of the state: draft, change, finish, patches. No threads, no disk.
 * Prints JSON; takes the seconds per shape as its argument.
 */
import { openDraft } from '../src/runtime/state-engine.ts';

interface Item {
  from: string;
  text: string;
  at: number;
}

const seconds = Number(process.argv[2] ?? 2);
const listItemsMax = 200;
const mapKeys = 10_000;
const turnsPerCheck = 16;

const shapes = [
  {
    shape: 'counter',
    first: { count: 0 },
    change: (state: unknown) => {
      (state as { count: number }).count += 1;
    },
  },
  {
    shape: `list of ${listItemsMax}, push and shift`,
    first: { items: Array.from({ length: listItemsMax }, (_, at): Item => ({ from: 'somebody', text: 'hello', at })) },
    change: (state: unknown, turn: number) => {
      const { items } = state as { items: Item[] };
      items.push({ from: 'somebody', text: 'hello', at: turn });
      items.shift();
    },
  },
  {
    shape: `map of ${mapKeys} keys, set one`,
    first: { entries: Object.fromEntries(Array.from({ length: mapKeys }, (_, key) => [`k${key}`, 0])) },
    change: (state: unknown, turn: number) => {
      (state as { entries: Record<string, number> }).entries[`k${turn % mapKeys}`] = turn;
    },
  },
];

const results = shapes.map(({ shape, first, change }) => {
  let state: unknown = first;
  let turn = 0;
  let patches = 0;
  const runFor = (ms: number): number => {
    const startMs = performance.now();
    const startTurn = turn;
    let spentMs = 0;
    while (spentMs < ms) {
      for (let left = turnsPerCheck; left > 0; left -= 1) {
        turn += 1;
        const draft = openDraft(state);
        change(draft.root, turn);
        const finished = draft.finish();
        state = finished.next;
        patches = finished.patches.length;
      }
      spentMs = performance.now() - startMs;
    }
    return ((turn - startTurn) / spentMs) * 1000;
  };
  runFor(300);
  return { shape, turnsPerSecond: runFor(seconds * 1000), patchesPerTurn: patches };
});
process.stdout.write(`${JSON.stringify(results)}\n`);
