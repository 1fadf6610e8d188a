import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyPatches } from '../../src/protocol/json-patch.ts';
import { openDraft } from '../../src/runtime/state-engine.ts';

/** Runs a change on a draft, as a handler would. */
function change<T extends object>(state: T, handler: (draft: T) => void) {
  const draft = openDraft(state);
  handler(draft.root as T);
  return draft.finish();
}

describe('the state engine', () => {
  it('keeps the state that went in when nothing changed', () => {
    const state = { count: 1, list: [1] };
    const { next, patches } = change(state, (draft) => {
      draft.count = 1;
      draft.list.push(2);
      draft.list.pop();
    });
    expect(patches).toEqual([]);
    expect(next).toBe(state);
  });

  it('never changes the state that went in', () => {
    const state = { list: [{ done: false }] };
    const { next } = change(state, (draft) => {
      draft.list[0]!.done = true;
    });
    expect(state).toEqual({ list: [{ done: false }] });
    expect(next).toEqual({ list: [{ done: true }] });
  });

  it.each<[string, (list: { n: number }[]) => void]>([
    ['pop', (list) => put(list, list.pop()!)],
    ['shift', (list) => put(list, list.shift()!)],
    ['splice', (list) => put(list, list.splice(1, 1)[0]!)],
    ['find', (list) => void list.find((item) => (item.n += 10) < 0)],
    ['some', (list) => void list.some((item) => (item.n += 10) < 0)],
    ['filter', (list) => void list.filter((item) => (item.n += 10) < 0)],
    ['concat', (list) => void (list.concat([])[0]!.n += 10)],
    ['flat', (list) => void (list.flat()[0]!.n += 10)],
    ['sort', (list) => void (list.sort((a, b) => b.n - a.n)[0]!.n += 10)],
  ])('hands out no part of the state that went in, nor by %s', (_, handler) => {
    const state = { list: [{ n: 1 }, { n: 2 }, { n: 3 }] };
    const { next, patches } = change(state, (draft) => handler(draft.list));
    expect(state).toEqual({ list: [{ n: 1 }, { n: 2 }, { n: 3 }] });
    expect(next).not.toEqual(state);
    expect(applyPatches(state, patches)).toEqual(next);
  });

  it('knows one zero, as JSON does', () => {
    for (const state of [{ n: 1 }, { n: 1, list: [1] }]) {
      const { next, patches } = change(state, (draft) => void (draft.n = -0));
      expect([next, patches]).toEqual([{ ...state, n: 0 }, [{ op: 'replace', path: '/n', value: 0 }]]);
    }
  });

  it('appends with add, shrinks with remove from the end, and escapes keys in paths', () => {
    expect(change({ list: [1, 2, 3] }, (draft) => void draft.list.push(4)).patches).toEqual([
      { op: 'add', path: '/list/3', value: 4 },
    ]);
    expect(change({ list: [1, 2, 3] }, (draft) => void (draft.list.length = 1)).patches).toEqual([
      { op: 'remove', path: '/list/2' },
      { op: 'remove', path: '/list/1' },
    ]);
    expect(change<Record<string, number>>({}, (draft) => void (draft['a/b~c'] = 1)).patches).toEqual([
      { op: 'add', path: '/a~1b~0c', value: 1 },
    ]);
  });

  it('takes properties out that are set to undefined, in memory as on the wire', () => {
    type State = { kept: number; gone?: number | undefined; nested?: { empty?: undefined; full: number } };
    const { next, patches } = change<State>({ kept: 1, gone: 2 }, (draft) => {
      draft.gone = undefined;
      draft.nested = { empty: undefined, full: 3 };
    });
    expect(Object.keys(next as object)).toEqual(['kept', 'nested']);
    expect(Object.keys((next as State).nested!)).toEqual(['full']);
    expect(applyPatches({ kept: 1, gone: 2 }, patches)).toEqual({ kept: 1, nested: { full: 3 } });
  });

  it.each([
    ['a Date', () => new Date(0), '/x is a Date'],
    ['a Map', () => new Map(), '/x is a Map'],
    ['NaN', () => Number.NaN, '/x is NaN'],
    ['a function', () => () => 1, '/x is a function'],
    ['a bigint', () => 1n, '/x is a bigint'],
    ['undefined in an array', () => [undefined], '/x/0 is undefined inside an array'],
    ['a hole in an array', () => Array(2), '/x is an array with holes'],
    ['something deep inside', () => ({ a: [{ b: Infinity }] }), '/x/a/0/b is Infinity'],
    [
      'a circle',
      () => {
        const circle: Record<string, unknown> = {};
        circle['self'] = circle;
        return circle;
      },
      'nests deeper than 200 levels',
    ],
  ])('refuses %s and names where it stands', (_name, make, message) => {
    const draft = openDraft({});
    (draft.root as Record<string, unknown>)['x'] = make();
    expect(() => draft.finish()).toThrow(message);
    draft.discard();
  });

  it('revokes a draft that has ended, so that nothing can be written later', () => {
    const draft = openDraft({ count: 0 });
    const kept = draft.root as { count: number };
    draft.discard();
    expect(() => {
      kept.count = 1;
    }).toThrow(TypeError);
  });

  it('makes patches that lead from any state to any other that a handler can reach', () => {
    // A state refuses `__proto__`; that has a test of its own.
    const json = fc.jsonValue({ maxDepth: 3 }).filter((value) => !JSON.stringify(value).includes('"__proto__":'));
    const key = fc.constantFrom('a', 'b', 'c/d', 'e~f', 'constructor');
    const step = fc.oneof(
      fc.record({ kind: fc.constant('set' as const), key, value: json }),
      fc.record({ kind: fc.constant('delete' as const), key, value: json }),
      fc.record({
        kind: fc.constantFrom('push', 'shift', 'unshift', 'pop', 'sort', 'reverse', 'cut'),
        key,
        value: json,
      }),
    );
    fc.assert(
      fc.property(fc.dictionary(key, json), fc.array(json), fc.array(step, { maxLength: 12 }), (map, list, steps) => {
        const state = JSON.parse(JSON.stringify({ map, list })) as { map: Record<string, unknown>; list: unknown[] };
        const before = JSON.stringify(state);
        const { next, patches } = change(state, (draft) => {
          for (const { kind, key, value } of steps) {
            if (kind === 'set') draft.map[key] = value;
            else if (kind === 'delete') delete draft.map[key];
            else if (kind === 'push') draft.list.push(value);
            else if (kind === 'unshift') draft.list.unshift(value);
            else if (kind === 'shift') draft.list.shift();
            else if (kind === 'pop') draft.list.pop();
            else if (kind === 'sort') draft.list.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
            else if (kind === 'reverse') draft.list.reverse();
            else draft.list.length = Math.floor(draft.list.length / 2);
          }
        });
        const patched = applyPatches(
          JSON.parse(before) as unknown,
          JSON.parse(JSON.stringify(patches)) as typeof patches,
        );
        expect(patched).toEqual(JSON.parse(JSON.stringify(next)));
        expect(JSON.stringify(state)).toBe(before);
      }),
      { numRuns: 300 },
    );
  });

  it('treats small flat states as it treats nested ones: the same patches lead to the same next state', () => {
    type Flat = Record<string, unknown>;
    const plain: fc.Arbitrary<unknown> = fc.oneof(
      fc.integer(),
      fc.string(),
      fc.boolean(),
      fc.constant(null),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
    );
    const key = fc.constantFrom('a', 'b', 'c/d', 'e~f', 'constructor', 'toString');
    const value = fc.oneof(
      { weight: 6, arbitrary: plain },
      { weight: 1, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
    );
    const step = fc.record({ kind: fc.constantFrom('set', 'delete'), key, value });
    const act = (steps: readonly { kind: string; key: string; value: unknown }[]) => (draft: Flat) => {
      for (const { kind, key, value } of steps) {
        if (kind === 'set') draft[key] = value;
        else delete draft[key];
      }
    };
    fc.assert(
      fc.property(fc.dictionary(key, plain), fc.array(step, { maxLength: 8 }), (start, steps) => {
        const state = JSON.parse(JSON.stringify(start)) as Flat;
        const before = JSON.stringify(state);
        const flat = change(state, act(steps));
        // The same state one level down is not flat, and goes through Immer.
        const nested = change({ inside: JSON.parse(before) as Flat }, (draft) => act(steps)(draft.inside));
        const patched = applyPatches(
          JSON.parse(before) as Flat,
          JSON.parse(JSON.stringify(flat.patches)) as typeof flat.patches,
        );
        expect(patched).toEqual(JSON.parse(JSON.stringify(flat.next)));
        expect(flat.next).toEqual((nested.next as { inside: Flat }).inside);
        expect(Object.values(flat.next as Flat).includes(undefined)).toBe(false);
        expect(JSON.stringify(state)).toBe(before);
      }),
      { numRuns: 500 },
    );
  });

  it('leaves a flat draft that has ended unwritable, and the state apart from it', () => {
    const draft = openDraft({ count: 0 });
    const kept = draft.root as { count: number; more?: { deep: number } };
    kept.count = 1;
    kept.more = { deep: 1 };
    const inner = kept.more;
    const { next } = draft.finish();
    expect(() => {
      kept.count = 2;
    }).toThrow(TypeError);
    inner.deep = 2;
    expect(next).toEqual({ count: 1, more: { deep: 1 } });
  });
});

/** Changed after it was taken out of the list, and put back. */
function put(list: { n: number }[], item: { n: number }): void {
  item.n += 10;
  list.push(item);
}
