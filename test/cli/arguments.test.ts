import { expect, test } from 'vitest';
import { parseArguments } from '../../src/cli/arguments.ts';
import type { Command } from '../../src/cli/command.ts';

const command: Command = {
  name: 'try',
  usage: 'try <thing>',
  summary: '',
  about: '',
  examples: [],
  positionalsMax: 1,
  flags: [
    { name: '--json', value: undefined, help: '' },
    { name: '--claim', value: '<name=value>', help: '' },
  ],
  settings: ['PORT', 'DATA_DIR'],
  run: () => Promise.resolve(0),
};

function parse(...words: string[]) {
  const { positionals, flags, problems } = parseArguments(words, command);
  return { positionals, flags: Object.fromEntries(flags), problems };
}

test('values stand behind their flag or behind an equals sign', () => {
  expect(parse('--port', '80', 'a', '--data-dir=/x').flags).toEqual({ '--port': ['80'], '--data-dir': ['/x'] });
});

test('an equals sign in the value belongs to the value', () => {
  expect(parse('--claim', 'a=b=c', '--claim=d=e').flags).toEqual({ '--claim': ['a=b=c', 'd=e'] });
});

test('a switch never eats the next word', () => {
  expect(parse('--json', 'a')).toEqual({ positionals: ['a'], flags: { '--json': ['true'] }, problems: [] });
  expect(parse('--json=false').flags).toEqual({ '--json': ['false'] });
});

test('a value never looks like the next flag', () => {
  expect(parse('--port', '--json').problems).toEqual(['--port needs a value: --port <port>']);
  expect(parse('--port').problems).toEqual(['--port needs a value: --port <port>']);
  expect(parse('--port=').problems).toEqual(['--port needs a value: --port <port>']);
  expect(parse('--port', '-1').flags).toEqual({ '--port': ['-1'] });
});

test('after -- everything is a word', () => {
  expect(parse('--', '--json')).toEqual({ positionals: ['--json'], flags: {}, problems: [] });
});

test('an unknown flag is told with its neighbour, with or without a value', () => {
  expect(parse('--jsno').problems).toEqual(['there is no flag --jsno; did you mean --json?']);
  expect(parse('--data-dri=/x').problems).toEqual(['there is no flag --data-dri; did you mean --data-dir?']);
  expect(parse('-p').problems).toEqual([expect.stringContaining('there is no flag -p')]);
});

test('words beyond what the command takes are told one by one', () => {
  expect(parse('a', 'b', 'c').problems).toEqual([
    '"b" is one word too many; it is: fermata try <thing>',
    '"c" is one word too many; it is: fermata try <thing>',
  ]);
});
