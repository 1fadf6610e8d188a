/**
 * A counter: the smallest actor that is of use. Each id is a counter of its own.
 *
 *     node src/cli/main.ts serve examples/counter.ts --dev
 *     curl -X POST http://127.0.0.1:8080/v1/actors/counter/visits/add -d '{"amount":2}'
 *
 * Kill the server with -9 and start it again: a count that was answered is still there.
 */
import { actor, createApp } from 'fermata';
import { z } from 'zod';

export const counter = actor({
  state: z.object({ count: z.number().default(0) }),

  methods: {
    increment: {
      handler({ state }) {
        state.count += 1;
        return state.count;
      },
    },
    add: {
      input: z.object({ amount: z.number() }),
      handler({ state, input }) {
        state.count += input.amount;
        return state.count;
      },
    },
  },
});

export const app = createApp({ actors: { counter } });
