/**
 * The app that `npm start` serves: both examples at once. Clients name it by its type, `typeof app`.
 *
 *     node src/cli/main.ts serve examples/app.ts --dev
 */
import { createApp } from 'fermata';
import { chat } from './chat.ts';
import { counter } from './counter.ts';

export const app = createApp({ actors: { counter, chat } });
