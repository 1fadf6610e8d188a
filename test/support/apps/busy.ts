/** Handlers that take their time, and one that says much. */
import { actor, createApp } from 'fermata';
import { z } from 'zod';

const sleeper = actor({
  state: z.object({ done: z.number().default(0) }),
  methods: {
    sleep: {
      input: z.object({ ms: z.number() }),
      handler: async ({ state, input }) => {
        await new Promise((resolve) => setTimeout(resolve, input.ms));
        return (state.done += 1);
      },
    },
    quick: { handler: ({ state }) => (state.done += 1) },
    /** Never ends by itself. */
    never: { handler: () => new Promise<void>(() => undefined) },
    /** Blocks its thread. */
    spin: {
      input: z.object({ ms: z.number() }),
      handler: ({ input }) => {
        const end = performance.now() + input.ms;
        while (performance.now() < end);
      },
    },
  },
});

const chatty = actor({
  state: z.object({ said: z.number().default(0) }),
  events: { noise: z.string() },
  methods: {
    shout: {
      input: z.object({ bytes: z.number() }),
      handler: ({ state, input, emit }) => {
        emit('noise', 'x'.repeat(input.bytes)).broadcast();
        return (state.said += 1);
      },
    },
    echo: { input: z.object({ bytes: z.number() }), handler: ({ input }) => 'y'.repeat(input.bytes) },
  },
});

export const app = createApp({ actors: { sleeper, chatty } });
