/**
 * What the compiler must infer for authors, and what it must refuse. `tsc --noEmit` is the judge of most of this file:
 * each `@ts-expect-error` fails the check when the line below it starts to compile.
 */
import { describe, expectTypeOf, test } from 'vitest';
import { z } from 'zod';
import {
  actor,
  AppError,
  createApp,
  type EmitTarget,
  type Log,
  type MethodsOf,
  middleware,
  type StandardSchemaV1,
} from 'fermata';

describe('the types of an author', () => {
  test("a handler's input is what the schema beside it makes, before or behind it, sync or async", () => {
    actor({
      state: z.object({}),
      methods: {
        send: {
          input: z.object({ text: z.string(), loud: z.boolean().default(false) }),
          handler: ({ input }) => expectTypeOf(input).toEqualTypeOf<{ text: string; loud: boolean }>(),
        },
        parse: {
          input: z.string().transform(Number),
          async handler({ input }) {
            expectTypeOf(input).toEqualTypeOf<number>();
          },
        },
        rename: {
          handler: ({ input }) => expectTypeOf(input).toEqualTypeOf<string | undefined>(),
          input: z.string().optional(),
        },
        none: { handler: ({ input }) => expectTypeOf(input).toEqualTypeOf<undefined>() },
      },
    });
  });

  test('the state is what its schema makes, in handlers, hooks and after migration', () => {
    const state = z.object({ list: z.array(z.object({ at: z.number() })).default([]), title: z.string().optional() });
    type State = { list: { at: number }[]; title?: string | undefined };
    actor({
      state,
      methods: { read: { handler: (context) => expectTypeOf(context.state).toEqualTypeOf<State>() } },
      events: { cleared: z.undefined() },
      version: 2,
      migrate: (stored, fromVersion) => {
        expectTypeOf(stored).toEqualTypeOf<unknown>();
        expectTypeOf(fromVersion).toEqualTypeOf<number>();
        return { title: 'moved' };
      },
      authorize: ({ claims, userId }) => userId !== null && claims.role === 'member',
      onActivate: (context) => {
        expectTypeOf(context.state).toEqualTypeOf<State>();
        expectTypeOf(context.clients).toEqualTypeOf<ReadonlySet<string>>();
        // @ts-expect-error no client stands behind this hook
        return context.clientId;
      },
      onConnect: async (context) => {
        expectTypeOf(context.state).toEqualTypeOf<State>();
        expectTypeOf(context.clientId).toEqualTypeOf<string>();
        context.emit('cleared').to(context.clientId);
      },
      onDisconnect: ({ state, userId }) => state.list.push({ at: userId === null ? 0 : 1 }),
    });
  });

  test('a handler knows everything that the runtime gives it', () => {
    actor({
      state: z.object({}),
      methods: {
        all: {
          handler: (context) => {
            expectTypeOf(context.tenant).toEqualTypeOf<string>();
            expectTypeOf(context.actor).toEqualTypeOf<string>();
            expectTypeOf(context.actorId).toEqualTypeOf<string>();
            expectTypeOf(context.clientId).toEqualTypeOf<string>();
            expectTypeOf(context.clients).toEqualTypeOf<ReadonlySet<string>>();
            expectTypeOf(context.userId).toEqualTypeOf<string | null>();
            expectTypeOf(context.claims).toEqualTypeOf<Readonly<Record<string, unknown>>>();
            expectTypeOf(context.log).toEqualTypeOf<Log>();
            expectTypeOf(context.now).toEqualTypeOf<() => number>();
            expectTypeOf(context.random).toEqualTypeOf<() => number>();
            expectTypeOf(context.signal).toEqualTypeOf<AbortSignal>();
          },
        },
      },
    });
  });

  test('a state field that the schema does not have does not compile', () => {
    actor({
      state: z.object({ count: z.number().default(0) }),
      methods: {
        // @ts-expect-error `coutn` is no field of the state
        read: { handler: ({ state }) => state.coutn },
        // @ts-expect-error a number takes no string
        write: { handler: ({ state }) => void (state.count = 'one') },
      },
    });
  });

  test('a wrong use of the input does not compile', () => {
    actor({
      state: z.object({ count: z.number().default(0) }),
      methods: {
        // @ts-expect-error `amuont` is no field of the input
        add: { input: z.object({ amount: z.number() }), handler: ({ input }) => input.amuont },
        // @ts-expect-error without a schema there is no input
        none: { handler: ({ input }) => input.amount },
      },
    });
  });

  test('a wrong event name or payload does not compile', () => {
    actor({
      state: z.object({}),
      events: { moved: z.object({ x: z.number() }), cleared: z.undefined(), noted: z.string().optional() },
      methods: {
        go: {
          handler: ({ emit }) => {
            expectTypeOf(emit('moved', { x: 1 })).toEqualTypeOf<EmitTarget>();
            emit('cleared').broadcast();
            emit('noted').to(['a', 'b']);
            emit('noted', 'text').except('a');
            // @ts-expect-error no such event
            emit('mvoed', { x: 1 });
            // @ts-expect-error the payload is missing
            emit('moved');
            // @ts-expect-error x is a number
            emit('moved', { x: 'far' });
            // @ts-expect-error this event carries nothing
            emit('cleared', 'all');
          },
        },
      },
    });
  });

  test('an actor without events can emit none', () => {
    // @ts-expect-error no events are declared
    actor({ state: z.object({}), methods: { go: { handler: ({ emit }) => emit('anything') } } });
  });

  test('mistakes in the definition itself do not compile', () => {
    const state = z.object({ count: z.number().default(0) });
    const refused = (): void => {
      // @ts-expect-error the state is missing
      actor({ methods: {} });
      // @ts-expect-error no schema
      actor({ state: { count: 0 }, methods: {} });
      // @ts-expect-error a state must be an object
      actor({ state: z.number(), methods: {} });
      // @ts-expect-error `metods` is no option
      actor({ state, methods: {}, metods: {} });
      // @ts-expect-error the handler is missing
      actor({ state, methods: { add: {} } });
      // @ts-expect-error a method is an object with a handler
      actor({ state, methods: { add: () => 1 } });
      // @ts-expect-error `inptu` is no part of a method
      actor({ state, methods: { add: { inptu: z.string(), handler: () => 1 } } });
      // @ts-expect-error no schema
      actor({ state, methods: { add: { input: 'string', handler: () => 1 } } });
      // @ts-expect-error no such durability
      actor({ state, methods: {}, durability: 'forever' });
      // @ts-expect-error the schema takes a number
      actor({ state, methods: {}, version: 2, migrate: () => ({ count: 'one' }) });
      // @ts-expect-error the schema of an event is missing
      actor({ state, methods: {}, events: { moved: 5 } });
      // @ts-expect-error no actor
      createApp({ actors: { counter: { state } } });
    };
    expectTypeOf(refused).toBeFunction();
  });

  test('middleware sees the caller, and a method only in calls', () => {
    middleware().use(({ ctx, kind, method, clientId, userId, claims, actorId }) => {
      expectTypeOf(ctx).toEqualTypeOf<object>();
      if (kind === 'call') expectTypeOf(method).toEqualTypeOf<string>();
      else expectTypeOf(method).toEqualTypeOf<undefined>();
      expectTypeOf(userId).toEqualTypeOf<string | null>();
      expectTypeOf(claims).toEqualTypeOf<Readonly<Record<string, unknown>>>();
      return { label: `${clientId} ${actorId}` };
    });
  });

  test('ctx is what two middlewares returned, the later one winning', () => {
    middleware()
      .use(() => ({ a: 1, b: 'one' }))
      .use(({ ctx }) => {
        expectTypeOf(ctx).toEqualTypeOf<{ a: number; b: string }>();
        return { b: 2 };
      })
      .actor({
        state: z.object({}),
        methods: {
          go: { handler: ({ ctx }) => expectTypeOf(ctx).toEqualTypeOf<{ a: number; b: number }>() },
          // @ts-expect-error no middleware returned `c`
          wrong: { handler: ({ ctx }) => ctx.c },
        },
      });
  });

  test('middleware that only looks or only refuses leaves ctx as it is', () => {
    const chain = middleware()
      .use(() => ({ a: 1 }))
      .use(() => {})
      .use(async () => {})
      .use(() => {
        throw new AppError('FORBIDDEN', 'Closed today');
      });
    chain.actor({
      state: z.object({}),
      methods: { go: { handler: ({ ctx }) => expectTypeOf(ctx).toEqualTypeOf<{ a: number }>() } },
    });
    // @ts-expect-error ctx takes objects only
    expectTypeOf(() => chain.use(() => 5)).toBeFunction();
  });

  test('middleware that returns one of two objects makes a union', () => {
    middleware()
      .use(({ userId }) => (userId === null ? { kind: 'guest' as const } : { kind: 'user' as const, id: userId }))
      .actor({
        state: z.object({}),
        methods: {
          go: {
            handler: ({ ctx }) => {
              if (ctx.kind === 'user') expectTypeOf(ctx.id).toEqualTypeOf<string>();
            },
          },
        },
      });
  });

  test('schemas of other libraries fit: anything with the standard interface', () => {
    const text: StandardSchemaV1<string, string[]> = {
      '~standard': { version: 1, vendor: 'own', validate: (value) => ({ value: String(value).split(',') }) },
    };
    const lists = actor({
      state: z.object({ all: z.array(z.string()).default([]) }),
      methods: {
        set: {
          input: text,
          handler: ({ state, input }) => {
            expectTypeOf(input).toEqualTypeOf<string[]>();
            state.all = input;
          },
        },
      },
    });
    expectTypeOf<MethodsOf<typeof lists>['set']>().toEqualTypeOf<(input: string) => Promise<void>>();
  });
});
