/** An actor whose `add` ends the whole process, without a word, for as long as a file lies where its caller says. */
import { existsSync } from 'node:fs';
import { actor, createApp } from 'fermata';
import { z } from 'zod';

const account = actor({
  state: z.object({ total: z.number().default(0), visits: z.array(z.string()).default([]) }),
  onConnect: ({ state, clientId }) => void state.visits.push(`+${clientId}`),
  onDisconnect: ({ state, clientId }) => void state.visits.push(`-${clientId}`),
  methods: {
    add: {
      input: z.object({ amount: z.number(), unless: z.string().default('') }),
      handler: ({ state, input }) => {
        if (input.unless !== '' && existsSync(input.unless)) process.kill(process.pid, 'SIGKILL');
        return (state.total += input.amount);
      },
    },
    look: { handler: ({ state }) => state },
  },
});

export const app = createApp({ actors: { account } });
