/** `fermata serve <app>`: reads and checks the configuration, then hands it to `serve`, which owns the process's life. */
import { loadConfig } from '../host/config-load.ts';
import { printConfig, printConfigJson } from '../host/config-print.ts';
import { settingNames } from '../host/config-settings.ts';
import { createLog } from '../host/log.ts';
import { CommandError } from './command-error.ts';
import { isOn, type Command, type Invocation } from './command.ts';
import { exitCodes } from './exit-codes.ts';

export const serveCommand: Command = {
  name: 'serve',
  usage: 'serve <app>',
  summary: 'Serve an app of actors over WebSocket and HTTP.',
  about:
    'Loads the module <app> (.ts or .js), which exports an app made by createApp() as its default or as `app`, and serves it until SIGTERM or Ctrl-C. ' +
    'Tokens are asked for unless --dev is given.',
  examples: [
    ['fermata serve app.ts --dev', 'Try it out on this machine.'],
    ['AUTH_JWT_SECRET=… fermata serve app.js --host 0.0.0.0', 'Serve others, with tokens signed by a shared secret.'],
    ['fermata serve app.js --limit turnMs=5000', 'Change one bound.'],
    ['fermata serve app.js --print-config', 'Show what would be used, and stop.'],
  ],
  positionalsMax: 1,
  flags: [
    {
      name: '--print-config',
      value: undefined,
      help: 'Show every value and where it came from, secrets hidden, then exit.',
    },
    { name: '--json', value: undefined, help: 'With --print-config: as JSON.' },
  ],
  settings: settingNames,
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const [app] = invocation.positionals;
  const printing = isOn(invocation, '--print-config');
  if (app === undefined && !printing) {
    throw new CommandError('serve needs the module that exports your app', {
      exitCode: exitCodes.usage,
      hint: 'For example: fermata serve app.ts --dev',
    });
  }
  const loaded = loadConfig(invocation, { app: app ?? '', serving: true });
  if (printing) {
    invocation.terminal.out(isOn(invocation, '--json') ? printConfigJson(loaded) : printConfig(loaded));
    return exitCodes.ok;
  }
  const { config } = loaded;
  const log = createLog({ level: config.logLevel, pretty: config.dev && invocation.terminal.isTty }, 'main');
  const { serve } = await import('./serve.ts');
  return await serve(config, log);
}
