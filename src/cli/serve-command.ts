/** `fermata serve <app>`: the whole product in one process. */
import { settingNames } from '../host/config-settings.ts';
import type { Command } from './command.ts';
import { printFlags, runServer } from './server-command.ts';

const example = 'fermata serve app.ts --dev';

export const serveCommand: Command = {
  name: 'serve',
  usage: 'serve <app>',
  summary: 'Serve an app of actors over WebSocket and HTTP.',
  about:
    'Loads the module <app> (.ts or .js), which exports an app made by createApp() as its default or as `app`, and serves it until SIGTERM or Ctrl-C. ' +
    'Tokens are asked for unless --dev is given. With NATS, other gateways and runtimes can join it.',
  examples: [
    [example, 'Try it out on this machine.'],
    ['AUTH_JWT_SECRET=… fermata serve app.js --host 0.0.0.0', 'Serve others, with tokens signed by a shared secret.'],
    ['fermata serve app.js --limit turnMs=5000', 'Change one bound.'],
    ['fermata serve app.ts --dev --nats managed', 'With a nats-server of its own.'],
    ['fermata serve app.js --print-config', 'Show what would be used, and stop.'],
  ],
  positionalsMax: 1,
  flags: printFlags,
  settings: settingNames,
  run: (invocation) =>
    runServer(invocation, { name: 'serve', sides: { sockets: true, data: true }, settings: settingNames, example }),
};
