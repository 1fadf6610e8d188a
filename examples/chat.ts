/**
 * A chat: each id is a room with its last messages and the people who are in it now.
 *
 *     npx fermata serve examples/chat.ts --dev
 *
 * Then open http://127.0.0.1:8080/ in two tabs. Messages survive a kill -9; presence does not, and should not.
 */
import { actor, createApp } from 'fermata';
import { z } from 'zod';

const messagesMax = 200;

const message = z.object({ from: z.string(), text: z.string(), at: z.number() });

export const chat = actor({
  state: z.object({
    messages: z.array(message).default([]),
    /** One entry per connection: the same person may have two tabs open. */
    online: z.array(z.object({ id: z.string(), name: z.string() })).default([]),
  }),

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

  // After a crash nobody has said goodbye, so whoever is not connected now is a ghost.
  onActivate({ state, clients }) {
    state.online = state.online.filter(({ id }) => clients.has(id));
  },
  onConnect({ state, clientId, userId }) {
    state.online.push({ id: clientId, name: userId ?? clientId });
  },
  onDisconnect({ state, clientId }) {
    state.online = state.online.filter(({ id }) => id !== clientId);
  },
});

export const app = createApp({ actors: { chat } });
