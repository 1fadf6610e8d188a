/** An actor that writes down how often it has left memory. */
import { actor, createApp } from 'fermata';
import { z } from 'zod';

const note = actor({
  state: z.object({ left: z.number().default(0) }),
  methods: { left: { handler: ({ state }) => state.left } },
  onDeactivate: ({ state }) => {
    state.left += 1;
  },
});

export const app = createApp({ actors: { note } });
