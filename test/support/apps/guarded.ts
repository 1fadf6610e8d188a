/** Three ways to say who may see and do what. */
import { actor, AppError, createApp, middleware } from 'fermata';
import { z } from 'zod';

const methods = {
  write: {
    input: z.string(),
    handler: ({ state, input, emit }: { state: { text: string }; input: string; emit: Emit }) => {
      emit('written', input).broadcast();
      state.text = input;
    },
  },
};

type Emit = (event: 'written', payload: string) => { broadcast(): void };

const state = z.object({ text: z.string().default('secret') });
const events = { written: z.string() };

const members = middleware().use(async ({ claims }) => {
  await Promise.resolve();
  if (claims['role'] !== 'member') throw new AppError('FORBIDDEN', 'Members only');
  return { role: 'member' as const };
});

/** Middleware decides about calls and subscriptions alike. */
const club = members.actor({ state, events, methods });

/** Everybody may write, `authorize` says who sees. */
const ballot = actor({ state, events, methods, authorize: ({ claims }) => claims['role'] === 'member' });

/** Middleware guards the calls, while everybody may see. */
const board = members.actor({ state, events, methods, authorize: () => true });

/** A guard that breaks must not let anybody in. */
const broken = actor({
  state,
  events,
  methods,
  authorize: () => {
    throw new Error('the guard fell asleep');
  },
});

/** What middleware gathers reaches the handler, in order; the last word counts. */
const chain = middleware()
  .use(({ userId }) => ({ first: userId, word: 'one' }))
  .use(({ ctx }) => ({ word: `${ctx.word}, two` }))
  .actor({
    state: z.object({}),
    methods: { ctx: { handler: ({ ctx }) => ({ ...ctx }) } },
  });

export const app = createApp({ actors: { club, ballot, board, broken, chain } });
