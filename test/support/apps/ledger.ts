/** What the oracles count: counters of each durability, and a list of whatever was appended. */
import { actor, createApp } from 'fermata';
import { z } from 'zod';

const count = z.object({ count: z.number().default(0) });

const counter = actor({
  state: count,
  methods: {
    increment: { handler: ({ state }) => (state.count += 1) },
    add: {
      input: z.object({ amount: z.number(), note: z.string().optional() }),
      handler: ({ state, input }) => (state.count += input.amount),
    },
    get: { handler: ({ state }) => state.count },
    /** The same outcome each time only if it runs only once. */
    draw: { handler: ({ state, random }) => ({ count: (state.count += 1), drawn: random() }) },
    slowly: {
      input: z.object({ ms: z.number() }),
      handler: async ({ state, input, signal }) => {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, input.ms);
          signal.addEventListener('abort', () => clearTimeout(timer));
        });
        return (state.count += 1);
      },
    },
    fail: {
      handler: ({ state, random }): never => {
        state.count += 1000;
        throw new Error(`failed with ${random()}`);
      },
    },
  },
  // The other actors have no such hook: they leave memory in another way.
  onDeactivate: ({ log, actorId }) => log.info('left memory', { actorId }),
});

const list = actor({
  state: z.object({ entries: z.array(z.string()).default([]) }),
  methods: {
    append: {
      input: z.object({ entry: z.string() }),
      handler: ({ state, input }) => state.entries.push(input.entry),
    },
    entries: { handler: ({ state }) => state.entries },
  },
});

/** Survives the process, not the host. */
const quick = actor({
  state: count,
  durability: 'process',
  methods: { increment: { handler: ({ state }) => (state.count += 1) } },
});

/** Survives nothing. */
const fleeting = actor({
  state: count,
  durability: 'memory',
  methods: { increment: { handler: ({ state }) => (state.count += 1) } },
});

export const app = createApp({ actors: { counter, list, quick, fleeting } });
