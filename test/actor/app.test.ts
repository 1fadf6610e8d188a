import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { actor, createApp } from 'fermata';
import { DefinitionError } from '../../src/actor/definition-error.ts';

const counter = actor({
  state: z.object({ count: z.number().default(0) }),
  methods: { get: { handler: ({ state }) => state.count } },
});
const loose = createApp as (options: unknown) => ReturnType<typeof createApp>;

describe('createApp()', () => {
  test('names its actors', () => {
    const app = createApp({ actors: { counter, other: counter } });
    expect(app.kind).toBe('fermata.app');
    expect([...app.actors]).toEqual([
      ['counter', counter],
      ['other', counter],
    ]);
  });

  test('takes an actor of another copy of the package by its word', () => {
    const foreign = { ...counter };
    expect(loose({ actors: { foreign } }).actors.get('foreign')).toBe(foreign);
  });

  test.each<[what: string, options: unknown, message: string]>([
    ['no options', undefined, 'createApp() takes one object'],
    [
      'an actor outside of actors',
      { counter },
      'createApp(): put "counter" under actors: createApp({ actors: { counter } })',
    ],
    ['a misspelt option', { actor: { counter } }, 'createApp(): unknown option "actor"; did you mean "actors"?'],
    ['no actors', {}, '"actors" must be an object of actors, such as { chat }, not undefined'],
    ['a list of actors', { actors: [counter] }, 'not an array'],
    ['an empty app', { actors: {} }, 'an app needs at least one actor'],
    [
      'a value that is no actor',
      { actors: { counter: { state: 5 } } },
      '"counter" is no actor: it must be what actor({ state, methods }) returns, not an object',
    ],
    [
      'an illegal name',
      { actors: { 'my counter': counter } },
      '"my counter" is no legal actor name: a letter, then at most 63 letters, digits, "_" or "-"',
    ],
    ['a name that is too long', { actors: { ['c'.repeat(65)]: counter } }, 'is no legal actor name'],
    [
      'a name of Object',
      { actors: Object.fromEntries([['__proto__', counter]]) },
      '"__proto__" is no legal actor name',
    ],
    [
      'a name that clients use',
      { actors: { connection: counter } },
      '"connection" cannot be an actor: clients keep that name',
    ],
    [
      'a name that every object has',
      { actors: { constructor: counter } },
      '"constructor" cannot be an actor: clients keep that name',
    ],
  ])('says what is wrong about %s', (_what, options, message) => {
    expect(() => loose(options)).toThrow(DefinitionError);
    expect(() => loose(options)).toThrow(message);
  });
});
