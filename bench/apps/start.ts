/** What a start finds on disk: a room that knows who is there, and notes that are written anew with each call. */
import { actor, createApp, presence } from 'fermata';
import { z } from 'zod';

const online = presence('online', ({ userId }) => ({ name: userId ?? '' }));

const room = actor({
  state: z.object({
    count: z.number().default(0),
    online: z.record(z.string(), z.object({ name: z.string() })).default({}),
  }),
  methods: { enter: { handler: ({ state }) => (state.count += 1) } },
  onConnect: online.onConnect,
  onDisconnect: online.onDisconnect,
});

const note = actor({
  state: z.object({ text: z.string().default('') }),
  methods: {
    write: {
      input: z.object({ text: z.string() }),
      handler: ({ state, input }) => {
        state.text = input.text;
      },
    },
  },
});

export default createApp({ actors: { room, note } });
