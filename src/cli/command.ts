/**
 * What a command of `fermata` is: data for its help text and for reading its flags, and a function that runs it. Heavy
 * packages are imported inside `run`, so that `--help` and mistakes answer at once and everywhere.
 */
import type { SettingName } from '../host/config-settings.ts';
import type { Screen } from './bar.ts';

export interface Flag {
  /** With its dashes. */
  readonly name: string;
  /** What stands behind it in help texts; undefined for a switch. */
  readonly value: string | undefined;
  readonly help: string;
}

/** Where a command writes. One call, one line (or block of lines). */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** True when a person reads stdout. */
  readonly isTty: boolean;
  /** Where a bar can be drawn: stderr, when a person reads it. */
  readonly screen?: Screen | undefined;
}

export interface Invocation {
  readonly positionals: readonly string[];
  /** By name with dashes, every value in the order given; a switch holds 'true'. */
  readonly flags: ReadonlyMap<string, readonly string[]>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly terminal: Terminal;
}

export interface Command {
  readonly name: string;
  /** How its arguments are written, such as `serve <app>`. */
  readonly usage: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What a first reader should know. */
  readonly about: string;
  /** Command lines with a remark, to be copied. */
  readonly examples: readonly (readonly [line: string, remark: string])[];
  readonly positionalsMax: number;
  /** Flags that are not settings. */
  readonly flags: readonly Flag[];
  /** Settings that it reads from flags and environment. */
  readonly settings: readonly SettingName[];
  /** Answers with the exit code. @throws CommandError, ConfigError */
  run(invocation: Invocation): Promise<number>;
}

/** The last value given for a flag. */
export function flagValue(invocation: Invocation, name: string): string | undefined {
  return invocation.flags.get(name)?.at(-1);
}

export function isOn(invocation: Invocation, name: string): boolean {
  return flagValue(invocation, name) === 'true';
}
