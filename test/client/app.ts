/** The app whose types the client tests speak of. */
import { z } from 'zod';
import { actor } from '../../src/actor/actor.ts';
import { createApp } from '../../src/actor/app.ts';

const counter = actor({
  state: z.object({ count: z.number().default(0) }),
  methods: {
    increment: {
      handler: ({ state }) => {
        state.count += 1;
        return state.count;
      },
    },
    add: {
      input: z.object({ amount: z.number() }),
      handler: ({ state, input }) => {
        state.count += input.amount;
        return state.count;
      },
    },
    rename: { input: z.string().optional(), handler: ({ input }) => ({ name: input ?? 'anonymous' }) },
  },
});

const chat = actor({
  state: z.object({ messages: z.array(z.object({ text: z.string() })).default([]) }),
  events: { message: z.object({ text: z.string() }), cleared: z.object({ by: z.string() }) },
  methods: {
    sendMessage: { input: z.object({ text: z.string() }), handler: () => undefined },
  },
});

export const app = createApp({ actors: { counter, chat } });
