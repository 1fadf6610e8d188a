import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyPatches, type JsonPatchOp, PatchError, toPointer } from '../../src/protocol/json-patch.ts';

type Json = unknown;
type Path = readonly (string | number)[];

/** Keys that hurt: escapes, what looks like an index, names of prototypes, nothing at all. */
const key = fc.oneof(
  fc.constantFrom('a', 'b', '', '0', '1', '-', '~', '/', '~1', '~0/', 'constructor', 'toString', 'ä😀'),
  fc.string({ maxLength: 4 }).filter((text) => text !== '__proto__'),
);
const { value: json } = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(fc.integer(), fc.string({ maxLength: 4 }), fc.boolean(), fc.constant(null)),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));
/** Says which of the possible patches to take, whatever the value will be by then. */
const choice = fc.record({ walk: fc.array(fc.nat(), { maxLength: 4 }), op: fc.nat(2), at: fc.nat(), key, value: json });
type Choice = { walk: number[]; op: number; at: number; key: string; value: Json };

describe('patches that fit', () => {
  it('give what a naive deep copy gives, and leave the given value alone', () => {
    fc.assert(
      fc.property(json, fc.array(choice, { maxLength: 12 }), (value, choices) => {
        const before = structuredClone(value);
        let model: Json = structuredClone(value);
        const patches: JsonPatchOp[] = [];
        for (const chosen of choices) {
          const { patch, path } = patchFor(model, chosen);
          patches.push(patch);
          model = naive(model, path, patch);
        }
        expect(applyPatches(value, patches)).toEqual(model);
        expect(value).toEqual(before);
      }),
      { numRuns: 500 },
    );
  });

  it('give the same applied one by one as in one set', () => {
    fc.assert(
      fc.property(json, fc.array(choice, { maxLength: 8 }), (value, choices) => {
        let step: Json = value;
        const patches = choices.map((chosen) => {
          const { patch } = patchFor(step, chosen);
          step = applyPatches(step, [patch]);
          return patch;
        });
        expect(applyPatches(value, patches)).toEqual(step);
      }),
      { numRuns: 200 },
    );
  });

  it('keep the identity of every branch that they do not touch', () => {
    fc.assert(
      fc.property(json, choice, (value, chosen) => {
        const { patch, path } = patchFor(value, chosen);
        let before: Json = value;
        let after: Json = applyPatches(value, [patch]);
        for (const segment of path) {
          if (!isContainer(before) || !isContainer(after)) return;
          expect(after).not.toBe(before);
          // What stays beside the way to the change is the same object, though an array may have moved it.
          const kept = new Set(Object.values(before));
          for (const [name, child] of Object.entries(after)) {
            if (isContainer(child) && name !== String(segment)) expect(kept.has(child)).toBe(true);
          }
          before = Reflect.get(before, segment);
          after = Reflect.get(after, segment);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('copy an array once, however many of them touch it', () => {
    const list = Array.from({ length: 200 }, (_, index) => ({ index }));
    const state = { list, other: { kept: true } };
    const patches: JsonPatchOp[] = list.map((_, index) => ({
      op: 'replace',
      path: `/list/${index}/index`,
      value: -index,
    }));
    const next = applyPatches(state, patches);
    expect(next.list[199]).toEqual({ index: -199 });
    expect(next.other).toBe(state.other);
    expect(state.list[199]).toEqual({ index: 199 });
  });

  it('return the given value itself when there are none', () => {
    const state = { a: 1 };
    expect(applyPatches(state, [])).toBe(state);
  });

  it('never write into a value that an earlier patch of the set brought', () => {
    const brought = { inner: { n: 1 } };
    const next = applyPatches<unknown>({}, [
      { op: 'add', path: '/a', value: brought },
      { op: 'add', path: '/b', value: brought },
      { op: 'replace', path: '/a/inner/n', value: 2 },
    ]);
    expect(next).toEqual({ a: { inner: { n: 2 } }, b: { inner: { n: 1 } } });
    expect(brought).toEqual({ inner: { n: 1 } });
  });

  it('replace the whole value at the empty path', () => {
    expect(applyPatches<unknown>({ a: 1 }, [{ op: 'replace', path: '', value: [1] }])).toEqual([1]);
  });

  it('append with "-" and insert in the middle of an array', () => {
    const patches: JsonPatchOp[] = [
      { op: 'add', path: '/-', value: 'd' },
      { op: 'add', path: '/1', value: 'b' },
    ];
    expect(applyPatches(['a', 'c'], patches)).toEqual(['a', 'b', 'c', 'd']);
  });
});

describe('patches that do not fit', () => {
  it.each<[why: string, value: Json, patch: JsonPatchOp]>([
    ['a path without a slash', {}, { op: 'add', path: 'a', value: 1 }],
    ['a missing key to replace', {}, { op: 'replace', path: '/a', value: 1 }],
    ['a missing key to remove', {}, { op: 'remove', path: '/a' }],
    ['a missing branch', {}, { op: 'add', path: '/a/b', value: 1 }],
    ['a way through a plain value', { a: 1 }, { op: 'add', path: '/a/b', value: 1 }],
    ['a way through null', { a: null }, { op: 'add', path: '/a/b', value: 1 }],
    ['an index past the end', [1], { op: 'add', path: '/2', value: 1 }],
    ['an index past the end to replace', [1], { op: 'replace', path: '/1', value: 1 }],
    ['an index past the end to remove', [], { op: 'remove', path: '/0' }],
    ['a name where an index belongs', [1], { op: 'replace', path: '/length', value: 0 }],
    ['an index with a leading zero', [1, 2], { op: 'replace', path: '/01', value: 1 }],
    ['a negative index', [1], { op: 'replace', path: '/-1', value: 1 }],
    ['"-" to remove', [1], { op: 'remove', path: '/-' }],
    ['an inherited key', {}, { op: 'add', path: '/constructor/prototype/x', value: 1 }],
    ['an inherited key to remove', {}, { op: 'remove', path: '/toString' }],
    ['__proto__ as the last step', {}, { op: 'add', path: '/__proto__', value: { x: 1 } }],
    ['__proto__ on the way', {}, { op: 'add', path: '/__proto__/x', value: 1 }],
    ['__proto__ deeper on the way', { a: {} }, { op: 'add', path: '/a/__proto__/x', value: 1 }],
  ])('are refused: %s', (_why, value, patch) => {
    const before = structuredClone(value);
    expect(() => applyPatches(value, [patch])).toThrow(PatchError);
    expect(value).toEqual(before);
    expect(Reflect.get({}, 'x')).toBeUndefined();
  });

  it('apply not even their good ones', () => {
    const state = { list: [1] };
    const patches: JsonPatchOp[] = [
      { op: 'add', path: '/list/1', value: 2 },
      { op: 'remove', path: '/nope' },
    ];
    expect(() => applyPatches(state, patches)).toThrow(PatchError);
    expect(state).toEqual({ list: [1] });
  });

  it('throw PatchError and nothing else, whatever the path', () => {
    const path = fc.array(fc.oneof(key, fc.constantFrom('__proto__', 'constructor', 'prototype')), { maxLength: 4 });
    fc.assert(
      fc.property(
        json,
        fc.array(fc.tuple(path, fc.constantFrom('add', 'replace', 'remove')), { maxLength: 5 }),
        (value, wild) => {
          const before = structuredClone(value);
          const patches = wild.map(([segments, op]) => ({ op, path: toPointer(segments), value: 1 }));
          try {
            applyPatches(value, patches);
          } catch (error) {
            expect(error).toBeInstanceOf(PatchError);
          }
          expect(value).toEqual(before);
          expect(Object.keys(Object.prototype)).toEqual([]);
        },
      ),
      { numRuns: 500 },
    );
  });
});

/** A patch that fits `value`, chosen by numbers, with the path that its pointer stands for. */
function patchFor(value: Json, chosen: Choice): { patch: JsonPatchOp; path: Path } {
  const path: (string | number)[] = [];
  let container: Json = value;
  for (const step of chosen.walk) {
    const inner = entriesOf(container).filter(([, child]) => isContainer(child));
    const taken = inner[step % Math.max(1, inner.length)];
    if (taken === undefined) break;
    path.push(taken[0]);
    container = taken[1];
  }
  const present = entriesOf(container).map(([name]) => name);
  const existing = present[chosen.at % Math.max(1, present.length)];
  if (!isContainer(container)) return made('replace', path, chosen.value);
  if (chosen.op > 0 && existing !== undefined)
    return made(chosen.op === 1 ? 'replace' : 'remove', [...path, existing], chosen.value);
  const added = Array.isArray(container) ? chosen.at % (container.length + 1) : chosen.key;
  return made('add', [...path, added], chosen.value);
}

function made(op: JsonPatchOp['op'], path: Path, value: Json): { patch: JsonPatchOp; path: Path } {
  const pointer = toPointer(path);
  return { patch: op === 'remove' ? { op, path: pointer } : { op, path: pointer, value }, path };
}

/** The model: copies everything, walks by the path itself and not by its pointer. */
function naive(value: Json, path: Path, patch: JsonPatchOp): Json {
  const root: { value: Json } = { value: structuredClone(value) };
  let container: object = root;
  let last: string | number = 'value';
  for (const segment of path) {
    container = Reflect.get(container, last) as object;
    last = segment;
  }
  const fresh = 'value' in patch ? structuredClone(patch.value) : undefined;
  if (!Array.isArray(container)) {
    if (patch.op === 'remove') Reflect.deleteProperty(container, last);
    else Reflect.set(container, last, fresh);
  } else if (patch.op === 'replace') container[Number(last)] = fresh;
  else if (patch.op === 'remove') container.splice(Number(last), 1);
  else container.splice(Number(last), 0, fresh);
  return root.value;
}

function entriesOf(value: Json): [string | number, Json][] {
  if (Array.isArray(value)) return value.map((child: Json, index) => [index, child]);
  return isContainer(value) ? Object.entries(value) : [];
}

function isContainer(value: Json): value is object {
  return typeof value === 'object' && value !== null;
}
