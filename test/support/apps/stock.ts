/** What stock clients talk to: a room with people and events, a sheet that is edited in every way, and guarded ones. */
import { actor, createApp, middleware } from 'fermata';
import { z } from 'zod';
import { edit, editSchema, type Sheet } from './stock-edits.ts';

const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const room = actor({
  state: z.object({
    lines: z.array(z.string()).default([]),
    online: z.array(z.string()).default([]),
    visits: z.number().default(0),
  }),
  // Kept for clients that can resume; the others must not notice.
  history: { events: 100 },
  events: {
    said: z.string(),
    counted: z.object({ lines: z.number() }),
    cleared: z.undefined(),
    joined: z.string(),
    left: z.string(),
  },
  methods: {
    nothing: { handler: () => undefined },
    say: {
      input: z.string(),
      handler({ state, input, emit }) {
        emit('said', input).broadcast();
        state.lines.push(input);
        emit('counted', { lines: state.lines.length }).broadcast();
        return state.lines.length;
      },
    },
    /** Every third one awaits, so that order has something to survive. */
    sayAnyhow: {
      input: z.number(),
      handler: ({ state, input }) =>
        input % 3 === 0 ? later(0).then(() => state.lines.push(`${input}`)) : state.lines.push(`${input}`),
    },
    saySlowly: {
      input: z.number(),
      async handler({ state, input }) {
        await later(input);
        return state.lines.push('at last');
      },
    },
    tell: {
      input: z.object({ text: z.string(), to: z.union([z.string(), z.array(z.string())]) }),
      handler: ({ input, emit }) => emit('said', input.text).to(input.to),
    },
    tellOthers: {
      input: z.object({ text: z.string(), except: z.union([z.string(), z.array(z.string())]).optional() }),
      handler: ({ input, emit, clientId }) => emit('said', input.text).except(input.except ?? clientId),
    },
    mumble: {
      handler({ emit }) {
        emit('said', 'to nobody in particular');
      },
    },
    clear: {
      handler({ state, emit }) {
        state.lines = [];
        emit('cleared').broadcast();
      },
    },
    me: { handler: ({ clientId, clients, userId }) => ({ clientId, userId, clients: [...clients] }) },
    echo: { input: z.unknown(), handler: ({ input }) => input },
    whole: { handler: ({ state }) => ({ state, lines: state.lines, last: state.lines.at(-1) }) },
  },
  onConnect({ state, clientId, emit }) {
    state.online.push(clientId);
    state.visits += 1;
    emit('joined', clientId).broadcast();
  },
  onDisconnect({ state, clientId, emit }) {
    state.online = state.online.filter((other) => other !== clientId);
    emit('left', clientId).broadcast();
  },
});

const sheet = actor({
  state: z.record(z.string(), z.unknown()),
  methods: {
    nothing: { handler: () => undefined },
    edit: {
      input: z.array(editSchema),
      handler({ state, input }) {
        for (const one of input) edit(state as Sheet, one);
      },
    },
  },
});

const list = actor({
  // A new actor's state is what the schema makes of {}.
  state: z.preprocess((value) => (Array.isArray(value) ? value : []), z.array(z.number())),
  methods: {
    nothing: { handler: () => undefined },
    put: { input: z.array(z.number()), handler: ({ state, input }) => void state.splice(0, state.length, ...input) },
  },
});

/** Ways to go wrong. */
const faulty = actor({
  state: z.object({ count: z.number().default(0) }),
  events: { happened: z.number() },
  methods: {
    nothing: { handler: () => undefined },
    fail: {
      input: z.enum(['message', 'async', 'empty', 'text', 'nothing', 'object', 'not JSON', 'undeclared', 'payload']),
      handler: ({ state, input, emit }) => {
        state.count += 1;
        emit('happened', 1).broadcast();
        if (input === 'async') return later(1).then(() => Promise.reject(new TypeError('not today')));
        const failure: (emit: Emit) => unknown = failures[input];
        return failure(emit as unknown as Emit);
      },
    },
    strict: {
      input: z.object({ amount: z.number(), name: z.string() }),
      handler: ({ state, input }) => (state.count += input.amount),
    },
  },
});

type Emit = (event: string, payload: unknown) => { broadcast(): void };

const failures = {
  message: () => raise(new Error('The room is "full"')),
  empty: () => raise(new Error('')),
  text: () => raise('just text'),
  nothing: () => raise(undefined),
  object: () => raise({ code: 7 }),
  'not JSON': () => 10n,
  undeclared: (emit: Emit) => emit('nobody-knows', 1).broadcast(),
  payload: (emit: Emit) => emit('happened', 'one').broadcast(),
};

function raise(thrown: unknown): never {
  throw thrown;
}

/** As in the guides for stock clients: who is not known is told so by an Error, and the handler never runs. */
const vault = middleware()
  .use(async ({ userId }) => {
    await Promise.resolve();
    if (userId === null) throw new Error('Unauthorized');
    return { owner: userId };
  })
  .use(({ ctx, actorId }) => {
    if (actorId !== ctx.owner) throw new Error('Forbidden');
    return { role: 'owner' as const };
  })
  .actor({
    state: z.object({ opened: z.number().default(0) }),
    methods: {
      open: {
        handler({ state, ctx }) {
          state.opened += 1;
          return `${ctx.role} ${ctx.owner}`;
        },
      },
    },
  });

export const app = createApp({ actors: { room, sheet, list, faulty, vault } });
