/**
 * The settings of `serve`, read as far as they can be read: `fermata doctor --production` tells of every mistake, and looks
 * at the rest all the same. What cannot be read is left at its default and named, so that nobody judges the default instead.
 */
import type { Config } from '../host/config.ts';
import { ConfigError, loadConfig, type LoadedConfig, type LoadOptions } from '../host/config-load.ts';
import type { ConfigSources } from '../host/config-reader.ts';
import { flagOf, settingNames, type SettingName } from '../host/config-settings.ts';

export interface ReadSettings {
  readonly config: Config;
  readonly origins: LoadedConfig['origins'];
  /** Every mistake that would keep `serve` from starting, one sentence each. */
  readonly problems: readonly string[];
  /** Set by somebody, and wrong. */
  readonly unread: ReadonlySet<SettingName>;
}

export function readSettings(sources: ConfigSources, app: string): ReadSettings {
  const whole = attempt(sources, { app, sockets: true });
  if (!('problems' in whole)) return { config: whole.config, origins: whole.origins, problems: [], unread: new Set() };
  const unread = new Set(wrongSettings(whole.problems, sources));
  for (;;) {
    const names = settingNames.filter((name) => !unread.has(name));
    const rest = attempt(sources, { app, names });
    if (!('problems' in rest)) {
      return { config: rest.config, origins: rest.origins, problems: whole.problems, unread };
    }
    const more = wrongSettings(rest.problems, sources).filter((name) => !unread.has(name));
    // A mistake that names no setting: nothing is left to be judged.
    for (const name of more.length > 0 ? more : settingNames) unread.add(name);
  }
}

function attempt(sources: ConfigSources, options: LoadOptions): LoadedConfig | ConfigError {
  try {
    return loadConfig(sources, options);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

/** Each sentence begins with the flags or variables that it is about. */
function wrongSettings(problems: readonly string[], sources: ConfigSources): SettingName[] {
  const named = new Set(problems.flatMap((problem) => problem.split(':', 1)[0]!.match(/[\w-]+/g) ?? []));
  return settingNames.filter((name) => {
    const isSet = sources.flags.has(flagOf(name)) || (sources.env[name] ?? '').trim() !== '';
    return isSet && (named.has(name) || named.has(flagOf(name)));
  });
}
