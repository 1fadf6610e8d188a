/** What the backup rounds write: books whose two fields must agree, and hoards that make a tenant's file large. */
import { actor, createApp } from 'fermata';
import { z } from 'zod';

const book = actor({
  state: z.object({
    /** As many as there are entries. */
    count: z.number().default(0),
    entries: z.array(z.string()).default([]),
  }),
  methods: {
    append: {
      input: z.object({ entry: z.string() }),
      handler: ({ state, input }) => {
        state.entries.push(input.entry);
        return (state.count += 1);
      },
    },
    look: { handler: ({ state }) => ({ count: state.count, entries: state.entries }) },
  },
});

const hoard = actor({
  state: z.object({ text: z.string().default('') }),
  methods: {
    keep: {
      input: z.object({ text: z.string() }),
      handler: ({ state, input }) => {
        state.text = input.text;
      },
    },
  },
});

export const app = createApp({ actors: { book, hoard } });
