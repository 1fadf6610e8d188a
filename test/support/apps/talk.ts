/** An actor that logs what it is told, passes its trace on, and fails in every way that the log has to tell of. */
import { actor, createApp } from 'fermata';
import { z } from 'zod';

const talk = actor({
  state: z.object({ count: z.number().default(0) }),
  methods: {
    add: {
      handler: ({ state, log }) => {
        log.info('adding', { before: state.count });
        return (state.count += 1);
      },
    },
    /** Logs its input as message, field and name of a field. */
    say: {
      input: z.string(),
      handler: ({ input, log, traceparent }) => {
        log.debug('before');
        log.info(input, { said: input, [input]: true });
        return traceparent ?? 'none';
      },
    },
    complain: {
      input: z.string(),
      handler: ({ input }): never => {
        throw new Error(input);
      },
    },
    mistaken: { handler: () => (JSON.parse('null') as { here: number }).here },
    notJson: { handler: () => 10n as unknown as number },
    hang: { handler: () => new Promise<never>(() => undefined) },
    exit: { handler: () => process.exit(3) },
  },
});

export const app = createApp({ actors: { talk } });
