/** What the chaos test counts: ledgers that keep every call, and rooms that people watch. */
import { actor, createApp, presence } from 'fermata';
import { z } from 'zod';

const said = z.object({ client: z.string(), n: z.number() });

/** Keeps `<client> <n>` of each call, in the order in which they ran. */
const ledger = actor({
  state: z.object({ entries: z.array(z.string()).default([]) }),
  methods: {
    append: {
      input: said,
      handler: ({ state, input: { client, n } }) => state.entries.push(`${client} ${n}`),
    },
  },
});

const online = presence('online', ({ userId }) => ({ name: userId ?? '' }));

const room = actor({
  state: z.object({
    /** Calls so far; the sum of `calls` at any moment. */
    count: z.number().default(0),
    calls: z.record(z.string(), z.number()).default({}),
    online: z.record(z.string(), z.object({ name: z.string() })).default({}),
    /** `+<clientId>` for each onConnect, `-<clientId>` for each onDisconnect. */
    visits: z.array(z.string()).default([]),
  }),
  history: { events: 100_000 },
  events: {
    said: said.extend({ at: z.number() }),
    /** For the caller alone, so that everybody else's numbers have holes. */
    whispered: z.object({ to: z.string(), at: z.number() }),
  },
  methods: {
    look: { handler: ({ state }) => state.count },
    say: {
      input: said,
      handler: ({ state, input: { client, n }, emit, clientId }) => {
        state.count += 1;
        state.calls[client] = (state.calls[client] ?? 0) + 1;
        emit('said', { client, n, at: state.count }).broadcast();
        emit('whispered', { to: clientId, at: state.count }).to([clientId]);
        return state.count;
      },
    },
  },
  onConnect: (context) => {
    online.onConnect(context);
    context.state.visits.push(`+${context.clientId}`);
  },
  onDisconnect: (context) => {
    online.onDisconnect(context);
    context.state.visits.push(`-${context.clientId}`);
  },
});

export const app = createApp({ actors: { ledger, room } });
