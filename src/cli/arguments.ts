/**
 * Reads a command line: `--name value`, `--name=value`, switches, and everything after `--` as it is. Every mistake is
 * collected, so that a person fixes them in one go.
 */
import { flagOf, settingOf } from '../host/config-settings.ts';
import { didYouMean } from '../host/config-values.ts';
import type { Command, Flag } from './command.ts';

export interface ParsedArguments {
  readonly positionals: string[];
  readonly flags: Map<string, string[]>;
  /** One sentence each. */
  readonly problems: string[];
}

export function parseArguments(words: readonly string[], command: Command): ParsedArguments {
  const known = new Map(flagsOf(command).map((flag) => [flag.name, flag]));
  const parsed: ParsedArguments = { positionals: [], flags: new Map(), problems: [] };
  const rest = [...words];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '--') parsed.positionals.push(...rest.splice(0));
    else if (!word.startsWith('-') || word === '-') parsed.positionals.push(word);
    else readFlag(word, rest, known, parsed);
  }
  for (const surplus of parsed.positionals.slice(command.positionalsMax)) {
    parsed.problems.push(`"${surplus}" is one word too many; it is: fermata ${command.usage}`);
  }
  return parsed;
}

/** All flags of a command: its own, then its settings. */
export function flagsOf(command: Command): Flag[] {
  return [...command.flags, ...command.settings.map((name) => ({ name: flagOf(name), ...settingOf(name) }))];
}

/** Takes the flag's value from `rest` when it has one. */
function readFlag(
  word: string,
  rest: string[],
  known: ReadonlyMap<string, Flag>,
  { flags, problems }: ParsedArguments,
): void {
  const equals = word.indexOf('=');
  const name = equals === -1 ? word : word.slice(0, equals);
  const flag = known.get(name);
  if (flag === undefined) {
    problems.push(`there is no flag ${name}${didYouMean(name, known.keys())}`);
    return;
  }
  let value = equals === -1 ? undefined : word.slice(equals + 1);
  // A switch never eats the next word; a value never looks like the next flag.
  if (flag.value === undefined) value ??= 'true';
  else if (value === undefined && rest[0]?.startsWith('--') === false) value = rest.shift();
  if (value === undefined || value === '')
    problems.push(`${name} needs a value: ${name} ${flag.value ?? 'true|false'}`);
  else flags.set(name, [...(flags.get(name) ?? []), value]);
}
