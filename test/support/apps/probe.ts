/** One method for each thing that the protocol says about a turn. */
import { actor, createApp } from 'fermata';
import { z } from 'zod';

const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const probe = actor({
  state: z.object({
    value: z.number().default(0),
    items: z.array(z.object({ n: z.number() })).default([]),
    log: z.array(z.number()).default([]),
  }),
  events: { changed: z.object({ to: z.number() }), said: z.string() },
  methods: {
    set: { input: z.number(), handler: ({ state, input }) => void (state.value = input) },
    nothing: { handler: () => undefined },
    later: {
      input: z.number(),
      handler: async ({ state, input }) => {
        await later(5);
        return (state.value = input);
      },
    },
    note: {
      input: z.number(),
      handler: ({ state, input }) => state.log.push(input),
    },
    /** Every third one awaits, so that order has something to survive. */
    noteAnyhow: {
      input: z.number(),
      handler: ({ state, input }) =>
        input % 3 === 0 ? later(0).then(() => state.log.push(input)) : state.log.push(input),
    },
    announce: {
      input: z.number(),
      handler: ({ state, input, emit }) => {
        emit('changed', { to: input }).broadcast();
        state.value = input;
        emit('said', `it is ${input}`).broadcast();
        return state.value;
      },
    },
    whisper: {
      input: z.object({ text: z.string(), to: z.array(z.string()).optional(), except: z.string().optional() }),
      handler: ({ input, emit }) => {
        const target = emit('said', input.text);
        if (input.to !== undefined) target.to(input.to);
        else if (input.except !== undefined) target.except(input.except);
        else target.broadcast();
      },
    },
    undeclared: {
      handler: ({ state, emit }) => {
        state.value = 999;
        (emit as unknown as (event: string) => { broadcast(): void })('nobody-knows').broadcast();
      },
    },
    undeclaredCaught: {
      handler: ({ state, emit }) => {
        state.value = 999;
        try {
          (emit as unknown as (event: string) => { broadcast(): void })('nobody-knows').broadcast();
        } catch {
          return 'swallowed';
        }
        return 'sent';
      },
    },
    badPayload: {
      handler: ({ state, emit }) => {
        state.value = 999;
        (emit as unknown as (event: string, payload: unknown) => { broadcast(): void })('changed', {
          to: 'x',
        }).broadcast();
      },
    },
    changeAndThrow: {
      handler: ({ state, emit }): never => {
        state.value = 999;
        emit('said', 'never').broadcast();
        throw new Error('changed my mind');
      },
    },
    changeAwaitAndThrow: {
      handler: async ({ state, emit }): Promise<never> => {
        state.value = 999;
        emit('said', 'never').broadcast();
        await later(1);
        throw new Error('changed my mind later');
      },
    },
    throwEmpty: {
      handler: (): never => {
        throw new Error('');
      },
    },
    throwText: {
      handler: (): never => {
        // oxlint-disable-next-line no-throw-literal
        throw 'just text' as unknown as Error;
      },
    },
    throwNothing: {
      handler: (): never => {
        // oxlint-disable-next-line no-throw-literal
        throw undefined as unknown as Error;
      },
    },
    grow: {
      handler: ({ state }) => {
        state.items.push({ n: state.items.length });
        // Drafts, alone and inside of what is returned.
        return { items: state.items, last: state.items.at(-1), whole: state };
      },
    },
    shuffle: {
      handler: ({ state }) => {
        state.items.splice(1, 0, { n: 100 });
        state.items.pop();
      },
    },
    notJson: { handler: () => 10n as unknown as number },
    linger: {
      input: z.number(),
      handler: async ({ state, input }) => {
        await later(input);
        state.value = 777;
        return 'too late';
      },
    },
    /** Keeps its draft beyond the end of its turn. */
    lingerBehind: {
      input: z.number(),
      handler: ({ state, input }) => {
        setTimeout(() => {
          try {
            state.value = 888;
          } catch {
            // A revoked draft says so by throwing.
          }
        }, input);
        return 'gone on';
      },
    },
  },
});

/** Hooks that write, and hooks that throw. */
const visited = actor({
  state: z.object({
    activations: z.number().default(0),
    visitors: z.array(z.string()).default([]),
    present: z.array(z.string()).default([]),
  }),
  events: { came: z.string(), left: z.string() },
  methods: {
    who: { handler: ({ clients }) => [...clients] },
    me: {
      handler: ({ clientId, userId, tenant, actorId, claims }) => ({
        clientId,
        userId,
        tenant,
        actorId,
        role: claims['role'],
      }),
    },
  },
  onActivate: ({ state }) => {
    state.activations += 1;
    state.present = [];
  },
  onConnect: ({ state, clientId, emit }) => {
    state.visitors.push(clientId);
    state.present.push(clientId);
    emit('came', clientId).broadcast();
  },
  onDisconnect: ({ state, clientId, emit }) => {
    state.present = state.present.filter((present) => present !== clientId);
    emit('left', clientId).broadcast();
  },
});

const touchy = actor({
  state: z.object({ calls: z.number().default(0), hooks: z.number().default(0) }),
  methods: { call: { handler: ({ state }) => (state.calls += 1) } },
  onActivate: ({ state }) => {
    state.hooks += 1;
    throw new Error('onActivate broke');
  },
  onConnect: async ({ state }) => {
    state.hooks += 1;
    await Promise.reject(new Error('onConnect broke'));
  },
  onDisconnect: () => {
    throw new Error('onDisconnect broke');
  },
  onDeactivate: () => {
    throw new Error('onDeactivate broke');
  },
});

export const app = createApp({ actors: { probe, visited, touchy } });
