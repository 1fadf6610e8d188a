/**
 * What `serve`, `gateway` and `runtime` have in common: read and check the configuration, print it when that is asked for,
 * then hand it to the server, which owns the process's life. Which sides it has is said here.
 */
import { loadConfig } from '../host/config-load.ts';
import { printConfig, printConfigJson } from '../host/config-print.ts';
import type { SettingName } from '../host/config-settings.ts';
import { createLog } from '../host/log.ts';
import { CommandError } from './command-error.ts';
import { isOn, type Flag, type Invocation } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import type { Sides } from './server-parts.ts';

export const printFlags: readonly Flag[] = [
  {
    name: '--print-config',
    value: undefined,
    help: 'Show every value and where it came from, secrets hidden, then exit.',
  },
  { name: '--json', value: undefined, help: 'With --print-config: as JSON.' },
];

export interface ServerCommand {
  readonly name: string;
  readonly sides: Sides;
  readonly settings: readonly SettingName[];
  /** What to say when the app is missing. */
  readonly example: string;
}

export async function runServer(
  invocation: Invocation,
  { name, sides, settings, example }: ServerCommand,
): Promise<number> {
  const [app] = invocation.positionals;
  const printing = isOn(invocation, '--print-config');
  if (sides.data && app === undefined && !printing) {
    throw new CommandError(`${name} needs the module that exports your app`, {
      exitCode: exitCodes.usage,
      hint: `For example: ${example}`,
    });
  }
  const loaded = loadConfig(invocation, {
    app: app ?? '',
    names: settings,
    sockets: sides.sockets,
    needsNats: !(sides.sockets && sides.data),
  });
  if (printing) {
    invocation.terminal.out(isOn(invocation, '--json') ? printConfigJson(loaded) : printConfig(loaded));
    return exitCodes.ok;
  }
  const { config } = loaded;
  const log = createLog({ level: config.logLevel, pretty: config.dev && invocation.terminal.isTty }, 'main');
  const { serve } = await import('./serve.ts');
  return await serve(config, sides, log);
}
