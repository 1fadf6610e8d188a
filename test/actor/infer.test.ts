/**
 * What a client knows of an app through `typeof app`. `tsc --noEmit` is the judge of most of this file.
 */
import { describe, expectTypeOf, test } from 'vitest';
import { z } from 'zod';
import {
  actor,
  type ActorsOf,
  AppError,
  createApp,
  type EventsOf,
  type MethodsOf,
  middleware,
  type StateOf,
} from 'fermata';

const roomState = z.object({
  title: z.string().default(''),
  messages: z.array(z.object({ from: z.string(), text: z.string(), at: z.number() })).default([]),
});

const room = actor({
  state: roomState,
  methods: {
    send: {
      input: z.object({ text: z.string(), loud: z.boolean().default(false) }),
      handler: ({ state, input, clientId, now }) =>
        state.messages.push({ from: clientId, text: input.text, at: now() }),
    },
    history: {
      async handler({ state }) {
        await Promise.resolve();
        return state.messages;
      },
    },
    rename: {
      input: z.string().optional(),
      handler: ({ state, input }) => {
        state.title = input ?? 'untitled';
      },
    },
    parse: { input: z.string().transform(Number), handler: ({ input }) => ({ doubled: input * 2 }) },
    close: {
      handler(): never {
        throw new AppError('NOT_NOW', 'The room stays open');
      },
    },
    ping: { handler: () => 'pong' as const },
  },
  events: {
    message: z.object({ from: z.string(), text: z.string(), at: z.number() }),
    cleared: z.undefined(),
    typed: z.string().transform((text) => text.length),
    noted: z.string().optional(),
  },
});

const guarded = middleware()
  .use(async ({ userId }) => ({ user: userId ?? 'nobody' }))
  .actor({
    state: z.object({ owners: z.array(z.string()).default([]) }),
    methods: {
      claim: {
        input: z.object({ seat: z.number() }),
        handler: async ({ state, ctx, input }) => {
          state.owners[input.seat] = ctx.user;
          return { seat: input.seat, owner: ctx.user };
        },
      },
    },
  });

const app = createApp({ actors: { room, guarded } });

describe('the types of a client', () => {
  type Room = MethodsOf<typeof room>;

  test('methods take the input that the schema accepts and promise the awaited result', () => {
    expectTypeOf<Room['send']>().toEqualTypeOf<
      (input: { text: string; loud?: boolean | undefined }) => Promise<number>
    >();
    expectTypeOf<Room['parse']>().toEqualTypeOf<(input: string) => Promise<{ doubled: number }>>();
    expectTypeOf<Room['rename']>().toEqualTypeOf<(input?: string) => Promise<void>>();
    expectTypeOf<Room['ping']>().toEqualTypeOf<() => Promise<'pong'>>();
    expectTypeOf<Room['close']>().toEqualTypeOf<() => Promise<never>>();
    expectTypeOf<Awaited<ReturnType<Room['history']>>>().toEqualTypeOf<{ from: string; text: string; at: number }[]>();
    expectTypeOf<keyof Room>().toEqualTypeOf<'send' | 'history' | 'rename' | 'parse' | 'close' | 'ping'>();
  });

  test('wrong calls do not compile', () => {
    const calls = (handle: Room): void => {
      void handle.send({ text: 'hi' });
      void handle.rename();
      // @ts-expect-error the input is missing
      void handle.send();
      // @ts-expect-error text is a string
      void handle.send({ text: 5 });
      // @ts-expect-error no such field
      void handle.send({ text: 'hi', lound: true });
      // @ts-expect-error this method takes no input
      void handle.ping('x');
      // @ts-expect-error no such method
      void handle.sned({ text: 'hi' });
      // @ts-expect-error the schema takes a string, though the handler gets a number
      void handle.parse(5);
    };
    expectTypeOf(calls).toBeFunction();
  });

  test('states and events are what the schemas pass on', () => {
    expectTypeOf<StateOf<typeof room>>().toEqualTypeOf<z.output<typeof roomState>>();
    expectTypeOf<EventsOf<typeof room>>().toEqualTypeOf<{
      readonly message: { from: string; text: string; at: number };
      readonly cleared: undefined;
      readonly typed: number;
      readonly noted: string | undefined;
    }>();
  });

  test('methods are known by name also when none of them takes input', () => {
    const plain = actor({
      state: z.object({ count: z.number().default(0) }),
      methods: {
        up: { handler: ({ state }) => (state.count += 1) },
        read: { handler: async ({ state }) => [state.count] },
      },
    });
    const lone = actor({ state: z.object({}), methods: { go: { handler: ({ input }) => [input] } } });
    const empty = actor({ state: z.object({}), methods: {} });
    expectTypeOf<MethodsOf<typeof plain>>().toEqualTypeOf<{
      readonly up: () => Promise<number>;
      readonly read: () => Promise<number[]>;
    }>();
    expectTypeOf<MethodsOf<typeof lone>>().toEqualTypeOf<{ readonly go: () => Promise<undefined[]> }>();
    expectTypeOf(empty.kind).toEqualTypeOf<'fermata.actor'>();
  });

  test('results and payloads have the types that arrive as JSON', () => {
    interface Node {
      name: string;
      children: Node[];
    }
    const mixed = actor({
      state: z.object({}),
      events: { due: z.object({ at: z.date() }) },
      methods: {
        dates: { handler: () => ({ at: new Date(), all: [new Date()], maybe: undefined as Date | undefined }) },
        tuple: { handler: () => [1, 'one', null] as const },
        union: {
          handler: async ({ now }) => (now() > 0 ? { ok: true as const } : { ok: false as const, why: 'late' }),
        },
        tree: { handler: (): Node => ({ name: 'root', children: [] }) },
        unsure: { handler: (): unknown => 1 },
        lost: { handler: () => ({ call: () => 1 }) },
      },
    });
    type Mixed = { [Name in keyof MethodsOf<typeof mixed>]: Awaited<ReturnType<MethodsOf<typeof mixed>[Name]>> };
    expectTypeOf<Mixed['dates']>().toEqualTypeOf<{ at: string; all: string[]; maybe: string | undefined }>();
    expectTypeOf<Mixed['tuple']>().toEqualTypeOf<readonly [1, 'one', null]>();
    expectTypeOf<Extract<Mixed['union'], { ok: false }>['why']>().toEqualTypeOf<string>();
    expectTypeOf<Mixed['union']['ok']>().toEqualTypeOf<boolean>();
    expectTypeOf<Mixed['tree']['children'][0]['name']>().toEqualTypeOf<string>();
    expectTypeOf<Node>().toExtend<Mixed['tree']>();
    expectTypeOf<Mixed['unsure']>().toEqualTypeOf<unknown>();
    expectTypeOf<Mixed['lost']>().toEqualTypeOf<{ call: undefined }>();
    expectTypeOf<EventsOf<typeof mixed>['due']>().toEqualTypeOf<{ at: string }>();
  });

  test('an app knows its actors by name, with or without middleware', () => {
    type Actors = ActorsOf<typeof app>;
    expectTypeOf<keyof Actors>().toEqualTypeOf<'room' | 'guarded'>();
    expectTypeOf<MethodsOf<Actors['room']>>().toEqualTypeOf<Room>();
    expectTypeOf<MethodsOf<Actors['guarded']>['claim']>().toEqualTypeOf<
      (input: { seat: number }) => Promise<{ seat: number; owner: string }>
    >();
  });
});
