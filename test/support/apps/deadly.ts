/**
 * An actor that ends its thread, and says how often in a file; and an app that cannot be loaded while another file is there.
 * The files' names come in as TALLY, MENDED and BROKEN.
 */
import { appendFileSync, existsSync } from 'node:fs';
import { actor, createApp } from 'fermata';
import { z } from 'zod';

const { TALLY = '', MENDED = '', BROKEN = '' } = process.env;

if (existsSync(BROKEN)) throw new Error('this app cannot be loaded at the moment');

const deadly = actor({
  state: z.object({ count: z.number().default(0) }),
  methods: {
    add: { handler: ({ state }) => (state.count += 1) },
    kill: {
      handler: ({ state }) => {
        if (existsSync(MENDED)) return (state.count += 1);
        appendFileSync(TALLY, '.');
        process.exit(3);
      },
    },
  },
});

export const app = createApp({ actors: { deadly } });
