import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { actor, middleware } from 'fermata';
import { DefinitionError } from '../../src/actor/definition-error.ts';

const state = z.object({ count: z.number().default(0) });
const handler = (): number => 1;
/** What a JavaScript author, or one with a cast, may hand in. */
const loose = actor as (options: unknown) => ReturnType<typeof actor>;

function refusal(options: unknown): string {
  try {
    loose(options);
  } catch (error) {
    expect(error).toBeInstanceOf(DefinitionError);
    return (error as Error).message;
  }
  throw new Error('nothing was refused');
}

describe('actor()', () => {
  test('fills in the defaults and keeps what was given', () => {
    const input = z.object({ amount: z.number() });
    const message = z.string();
    const onConnect = (): void => {};
    const plain = actor({
      state,
      methods: { add: { input, handler }, get: { handler } },
      events: { message },
      onConnect,
    });
    expect(plain).toMatchObject({ kind: 'fermata.actor', version: 1, durability: 'durable', middleware: [] });
    expect([...plain.methods]).toEqual([
      ['add', { input, handler }],
      ['get', { input: undefined, handler }],
    ]);
    expect([...plain.events]).toEqual([['message', message]]);
    expect(plain.state).toBe(state);
    expect(plain.onConnect).toBe(onConnect);
    expect([plain.migrate, plain.authorize, plain.onActivate, plain.onDeactivate, plain.onDisconnect]).toEqual(
      Array(5).fill(undefined),
    );
  });

  test('keeps version, migrate and durability', () => {
    const migrate = (): { count: number } => ({ count: 1 });
    expect(actor({ state, methods: {}, version: 3, migrate, durability: 'memory' })).toMatchObject({
      version: 3,
      migrate,
      durability: 'memory',
    });
    expect(actor({ state, methods: {}, version: 2 }).migrate).toBeUndefined();
  });

  test('keeps as many events as it is told, and refuses a history that means nothing', () => {
    expect(actor({ state, methods: {} }).historyEventsMax).toBe(0);
    expect(actor({ state, methods: {}, history: { events: 5 } }).historyEventsMax).toBe(5);
    const wrong: [unknown, string][] = [
      [5, '"history" must be an object, such as { events: 100 }, not 5'],
      [{ events: 0 }, '"history.events" must be a whole number from 1 to 100000, not 0'],
      [{}, '"history.events" must be a whole number from 1 to 100000, not undefined'],
      [{ event: 5 }, 'unknown option "event"; did you mean "events"?'],
    ];
    for (const [history, message] of wrong) expect(refusal({ state, methods: {}, history })).toContain(message);
    expect(refusal({ state, methods: {}, history: { events: 5 }, durability: 'memory' })).toContain(
      '"history" needs an actor that is stored',
    );
  });

  test('never changes again', () => {
    const fixed = actor({ state, methods: { get: { handler } } });
    expect(Object.isFrozen(fixed)).toBe(true);
    expect(Object.isFrozen(fixed.methods.get('get'))).toBe(true);
  });

  test('knows own names only, so that nothing inherited can be called', () => {
    const inherited: unknown = Object.assign(Object.create(null), { get: { handler } });
    const plain = loose({ state, methods: inherited });
    expect([...plain.methods.keys()]).toEqual(['get']);
    expect(plain.methods.get('constructor')).toBeUndefined();
    expect(refusal({ state, methods: Object.create({ get: { handler } }) })).toContain(
      '"methods" must be an object of methods',
    );
  });

  test('takes schemas that are functions, as some libraries make them', () => {
    const schema = Object.assign(() => {}, {
      '~standard': { version: 1, vendor: 'own', validate: (value: unknown) => ({ value }) },
    });
    expect(loose({ state: schema, methods: { set: { input: schema, handler } } }).methods.get('set')?.input).toBe(
      schema,
    );
  });

  test('leaves a schema that validates later to the start of an actor', async () => {
    const validate = (): Promise<never> => Promise.reject(new Error('not now'));
    loose({ state: { '~standard': { version: 1, vendor: 'own', validate } }, methods: {} });
    // An unhandled rejection would fail the run.
    await new Promise((resolve) => setImmediate(resolve));
  });
});

describe('actor() says what is wrong', () => {
  const schemaOf = (standard: unknown): unknown => ({ '~standard': standard });
  test.each<[what: string, options: unknown, message: string]>([
    ['no options', undefined, 'actor() takes one object: actor({ state, methods })'],
    ['a misspelt option', { state, metods: {} }, 'actor(): unknown option "metods"; did you mean "methods"?'],
    [
      'a misspelt hook',
      { state, methods: {}, onconect: handler },
      'actor(): unknown option "onconect"; did you mean "onConnect"?',
    ],
    ['swapped letters', { state, methods: {}, evnest: {} }, 'actor(): unknown option "evnest"; did you mean "events"?'],
    [
      'a foreign option',
      { state, methods: {}, timers: {} },
      'actor(): unknown option "timers"; known are state, methods, events, version',
    ],
    ['no state', { methods: {} }, 'actor(): "state" is missing: give it a schema'],
    [
      'a state that is no schema',
      { state: { count: 0 }, methods: {} },
      '"state" must be a Standard Schema (zod, valibot, arktype and others are), not an object',
    ],
    [
      'a state of null',
      { state: null, methods: {} },
      '"state" must be a Standard Schema (zod, valibot, arktype and others are), not null',
    ],
    [
      'a newer Standard Schema',
      { state: schemaOf({ version: 2, validate: handler }), methods: {} },
      '"state" is a Standard Schema of version 2; Fermata reads version 1',
    ],
    [
      'a state without defaults',
      { state: z.object({ at: z.object({ x: z.number() }).prefault({} as never) }), methods: {} },
      'this one refuses it at "at.x"',
    ],
    [
      'a required field',
      { state: z.object({ title: z.string() }), methods: {} },
      'give every field a default, such as z.number().default(0)',
    ],
    [
      'a state that is no object',
      { state: z.any().transform(() => 5), methods: {} },
      'a state must be an object or an array, and this schema makes 5 of {}',
    ],
    ['no methods', { state }, '"methods" must be an object of methods'],
    ['an array of methods', { state, methods: [] }, 'not an array'],
    [
      'a bare function',
      { state, methods: { add: handler } },
      'method "add" must be an object with a handler, add: { handler() { … } }, not a function',
    ],
    [
      'no handler',
      { state, methods: { add: { input: state } } },
      'method "add" has no handler: add: { handler() { … } }',
    ],
    [
      'a handler that is no function',
      { state, methods: { add: { handler: 5 } } },
      '"methods.add.handler" must be a function, not 5',
    ],
    [
      'a misspelt part of a method',
      { state, methods: { add: { handlr: handler } } },
      'method "add": unknown option "handlr"; did you mean "handler"?',
    ],
    [
      'an input that is no schema',
      { state, methods: { add: { input: 'text', handler } } },
      '"methods.add.input" must be a Standard Schema (zod, valibot, arktype and others are), not the string "text"',
    ],
    [
      'an illegal method name',
      { state, methods: { 'add one': { handler } } },
      '"add one" is no legal method name: a letter, then at most 63 letters, digits, "_" or "-"',
    ],
    [
      '__proto__ as a method',
      { state, methods: Object.fromEntries([['__proto__', { handler }]]) },
      '"__proto__" is no legal method name',
    ],
    [
      'an illegal event name',
      { state, methods: {}, events: { 'user.joined': state } },
      '"user.joined" is no legal event name',
    ],
    [
      'an event that is no schema',
      { state, methods: {}, events: { joined: true } },
      '"events.joined" must be a Standard Schema (zod, valibot, arktype and others are), not true',
    ],
    ['events that are no object', { state, methods: {}, events: 'joined' }, '"events" must be an object of schemas'],
    [
      'an unknown durability',
      { state, methods: {}, durability: 'durabel' },
      '"durability" must be "durable", "process" or "memory", not the string "durabel"; did you mean "durable"?',
    ],
    ['version 0', { state, methods: {}, version: 0 }, '"version" must be a whole number of 1 or more, not 0'],
    ['half a version', { state, methods: {}, version: 1.5 }, 'not 1.5'],
    ['a version in quotes', { state, methods: {}, version: '2' }, 'not the string "2"'],
    ['migrate without a version', { state, methods: {}, migrate: handler }, '"migrate" needs "version" 2 or more'],
    [
      'migrate that is no function',
      { state, methods: {}, version: 2, migrate: {} },
      '"migrate" must be a function, not an object',
    ],
    [
      'a hook that is a promise',
      { state, methods: {}, onConnect: Promise.resolve() },
      '"onConnect" must be a function, not a promise',
    ],
    [
      'authorize that is a list',
      { state, methods: {}, authorize: ['root'] },
      '"authorize" must be a function, not an array',
    ],
  ])('about %s', (_what, options, message) => {
    expect(refusal(options)).toContain(message);
  });

  test.each(['then', 'catch', 'finally', 'toJSON', 'on', 'state', 'meta', 'constructor', 'toString'])(
    'about a method called %s, which a handle keeps for itself',
    (name) => {
      expect(refusal({ state, methods: { [name]: { handler } } })).toContain(`"${name}" cannot be a method`);
    },
  );
});

describe('middleware()', () => {
  test('hands its functions to the actor in order', () => {
    const first = (): object => ({ a: 1 });
    const second = (): void => {};
    const guarded = middleware().use(first).use(second).actor({ state, methods: {} });
    expect(guarded.middleware).toEqual([first, second]);
    expect(guarded.kind).toBe('fermata.actor');
  });

  test('never changes: a chain can be extended in two directions', () => {
    const base = middleware().use(() => ({ a: 1 }));
    const left = base.use(() => ({ b: 2 })).actor({ state, methods: {} });
    const right = base.actor({ state, methods: {} });
    expect(left.middleware).toHaveLength(2);
    expect(right.middleware).toHaveLength(1);
  });

  test('takes functions only', () => {
    expect(() => middleware().use('auth' as never)).toThrow(
      'middleware(): use() takes a function, not the string "auth"',
    );
  });
});
