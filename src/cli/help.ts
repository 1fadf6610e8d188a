/** The help texts. They teach: an example to copy first, then what it means, then every flag with its default. */
import { flagOf, settingOf } from '../host/config-settings.ts';
import type { Command } from './command.ts';

const columns = 100;

export function generalHelp(commands: readonly Command[]): string {
  return [
    'Fermata runs stateful actors: one instance of each, one call at a time, every acknowledged call on disk.',
    '',
    'Usage: fermata <command> [flags]',
    '',
    'Commands',
    ...table([
      ...commands.map((command) => [command.name, command.summary] as const),
      ['help <command>', 'All flags of a command, with examples.'],
    ]),
    '',
    'Start here',
    ...table([
      ['fermata serve app.ts --dev', 'Serve an app on http://127.0.0.1:8080, without tokens.'],
      ['fermata doctor', 'Is this machine fit for it?'],
      ['fermata inspect', 'What is stored?'],
    ]),
    '',
    'Most used flags',
    ...table([
      ...(['DEV', 'PORT', 'DATA_DIR', 'LOG_LEVEL'] as const).map(
        (name) => [withValue(flagOf(name), settingOf(name).value), settingOf(name).help] as const,
      ),
      ['--print-config', 'Show every value and where it came from, then exit.'],
    ]),
    '',
    'Every setting is read from its flag, else from the environment (--data-dir, DATA_DIR), else it has a default.',
    'Documentation: README.md and docs/ of the package (docs/cli.md, docs/configuration.md).',
  ].join('\n');
}

export function commandHelp(command: Command): string {
  const settings = command.settings.map((name) => {
    const { value, help, fallback, flagOnly } = settingOf(name);
    const variable = flagOnly ? '' : `, ${name}`;
    return [withValue(flagOf(name), value), `${help} [${fallback}${variable}]`] as const;
  });
  const flags = command.flags.map((flag) => [withValue(flag.name, flag.value), flag.help] as const);
  return [
    `Usage: fermata ${command.usage} [flags]`,
    '',
    ...wrap(command.about, columns),
    '',
    'Examples',
    ...table(command.examples),
    ...(flags.length === 0 ? [] : ['', 'Flags', ...table(flags)]),
    ...(settings.length === 0 ? [] : ['', 'Settings [default, environment variable]', ...table(settings)]),
  ].join('\n');
}

function withValue(name: string, value: string | undefined): string {
  return value === undefined ? name : `${name} ${value}`;
}

/** Two columns; the right one wraps. */
function table(rows: readonly (readonly [left: string, right: string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  return rows.flatMap(([left, right]) =>
    wrap(right, Math.max(40, columns - width - 2)).map(
      (line, index) => `  ${(index === 0 ? left : '').padEnd(width)}${line}`,
    ),
  );
}

function wrap(text: string, width: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!;
    if (line.length + word.length + 1 > width && line !== '') lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines;
}
