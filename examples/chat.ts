/**
 * A chat: each id is a room with its last messages and the people who are in it now.
 *
 *     node src/cli/main.ts serve examples/chat.ts --dev
 *
 * Then open http://127.0.0.1:8080/ in two tabs. Messages survive a kill -9; ghosts do not.
 */
import { actor, createApp, presence } from 'fermata';
import { z } from 'zod';

const messagesMax = 200;

const message = z.object({ from: z.string(), text: z.string(), at: z.number() });

export const chat = actor({
  state: z.object({
    messages: z.array(message).default([]),
    /** By client: the same person may have two tabs open. */
    online: z.record(z.string(), z.object({ name: z.string() })).default({}),
  }),

  // Who leaves is struck off, also after a crash: nobody has said goodbye then, and still there are no ghosts.
  ...presence('online', ({ clientId, userId }) => ({ name: userId ?? clientId })),

  // Whoever was away for a moment gets the messages that were sent meanwhile.
  history: { events: messagesMax },

  events: { message },

  methods: {
    sendMessage: {
      input: z.object({ text: z.string().trim().min(1).max(2000) }),
      handler({ state, input, emit, userId, clientId, now }) {
        const sent = { from: userId ?? clientId, text: input.text, at: now() };
        state.messages.push(sent);
        if (state.messages.length > messagesMax) state.messages.shift();
        emit('message', sent).broadcast();
      },
    },
  },
});

export const app = createApp({ actors: { chat } });
