/**
 * Reads settings one by one, flag before environment before default, and keeps account of two things: what is wrong,
 * so that all of it can be told at once, and where each value came from, so that it can be printed.
 *
 * A setting that cannot be read counts as set (`isSet`) and as `failed`; rules between settings look at that, so that one mistake
 * is not reported twice in other words.
 */
import { flagOf, settingOf, type SettingName } from './config-settings.ts';

/** What a parser makes of a text: a value, or the end of the sentence "PORT …". */
export type Parsed<T> = { readonly value: T } | { readonly problem: string };

/** Where a value came from; `name` is the flag or the variable. */
export type Origin = { readonly kind: 'flag' | 'environment'; readonly name: string } | { readonly kind: 'default' };

export interface ConfigSources {
  /** By flag with its dashes, every value in the order given. A switch holds 'true'. */
  readonly flags: ReadonlyMap<string, readonly string[]>;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export class SettingReader {
  /** One sentence each, beginning with the flag or variable it is about. */
  readonly problems: string[] = [];
  readonly origins = new Map<SettingName, Origin>();
  readonly #sources: ConfigSources;
  readonly #names: ReadonlySet<SettingName>;
  readonly #failed = new Set<SettingName>();

  /** Settings outside `names` are left at their defaults: a command is not stopped by what it does not use. */
  constructor(sources: ConfigSources, names: Iterable<SettingName>) {
    this.#sources = sources;
    this.#names = new Set(names);
  }

  /** The value, or `fallback` when nobody set it. Of a repeated flag the last one counts. */
  read<T, F>(name: SettingName, fallback: F, parse: (text: string) => Parsed<T>): T | F {
    const given = this.texts(name).at(-1);
    if (given === undefined) {
      this.origins.set(name, { kind: 'default' });
      return fallback;
    }
    this.origins.set(name, given.origin);
    const parsed = parse(given.text);
    if ('value' in parsed) return parsed.value;
    this.fail(name, parsed.problem);
    return fallback;
  }

  /** What was given for a setting, environment first, as it was written. */
  texts(name: SettingName): { text: string; origin: Origin & { name: string } }[] {
    if (!this.#names.has(name)) return [];
    const flag = flagOf(name);
    const given = (this.#sources.flags.get(flag) ?? []).map((text) => ({
      text,
      origin: { kind: 'flag' as const, name: flag },
    }));
    const variable = settingOf(name).flagOnly ? undefined : this.#sources.env[name];
    // An empty variable is how a compose file says "not set".
    if (variable === undefined || variable.trim() === '') return given;
    return [{ text: variable, origin: { kind: 'environment' as const, name } }, ...given];
  }

  fail(name: SettingName, problem: string): void {
    this.#failed.add(name);
    this.problems.push(`${this.label(name)}: ${problem}`);
  }

  failed(name: SettingName): boolean {
    return this.#failed.has(name);
  }

  isSet(name: SettingName): boolean {
    return this.texts(name).length > 0;
  }

  /** The name under which its owner will find it: the flag or the variable that was used, else all ways to set it. */
  label(name: SettingName): string {
    const origin = this.texts(name).at(-1)?.origin;
    if (origin !== undefined) return label(origin);
    return settingOf(name).flagOnly ? flagOf(name) : `${flagOf(name)} or ${name}`;
  }
}

/** `--port` or `PORT (environment)`. */
export function label(origin: Origin & { name: string }): string {
  return origin.kind === 'flag' ? origin.name : `${origin.name} (environment)`;
}
