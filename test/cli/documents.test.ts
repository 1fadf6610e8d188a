/** What the documents list must be what the program has. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { commands } from '../../src/cli/command-line.ts';
import { errorCodes } from '../../src/protocol/errors.ts';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { flagOf, settingNames, settingOf } from '../../src/host/config-settings.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';

const read = (path: string) => readFileSync(join(import.meta.dirname, '../..', path), 'utf8');

test('docs/configuration.md lists every setting with its flag', () => {
  const text = read('docs/configuration.md');
  for (const name of settingNames) {
    const variable = settingOf(name).flagOnly ? '' : `\`${name}\` `;
    expect(text).toContain(`| ${variable}| \`${flagOf(name)}\` |`);
  }
});

test('docs/configuration.md lists every limit with its default, and no other', () => {
  const listed = [...read('docs/configuration.md').matchAll(/^\| `([a-z]\w+)` \| (\d+) \|/gm)].map(
    ([, name, value]) => [name, Number(value)],
  );
  expect(Object.fromEntries(listed)).toEqual(defaultLimits);
});

test('docs/cli.md explains every command and every exit code', () => {
  const text = read('docs/cli.md');
  for (const { name } of commands) expect(text).toContain(`\n## ${name}\n`);
  for (const code of Object.values(exitCodes)) expect(text).toContain(`\n| ${code} |`);
});

test('the changelog knows this version', () => {
  const { version } = JSON.parse(read('package.json')) as { version: string };
  expect(read('CHANGELOG.md')).toContain(version);
});

test.each([
  ['docs/operations.md', 30],
  ['docs/logs.md', 6],
])('%s quotes messages as the sources have them', (page, messagesMin) => {
  const files = readdirSync(join(import.meta.dirname, '../../src'), { recursive: true, encoding: 'utf8' });
  const sources = files
    .filter((name) => name.endsWith('.ts'))
    .map((name) => read(join('src', name)))
    .join('\n');
  const quotes = [...read(page).matchAll(/`([^`\n]+)`/g)].map(([, text]) => text!);
  const messages = quotes.filter((text) => text.split(' ').length > 3 && !/^(fermata|post of room) /.test(text));
  expect(messages.length).toBeGreaterThan(messagesMin);
  // An ellipsis stands for what differs each time.
  const pieces = messages.flatMap((text) => text.split('…')).map((piece) => piece.replace(/^ ?:? ?/, '').trim());
  expect(pieces.filter((piece) => !sources.includes(piece))).toEqual([]);
});

test('docs/http.md lists every error code with its status, outcome and whether a retry may help', () => {
  const rows = read('docs/http.md').matchAll(/^\| `([A-Z_]+)` \| (\d+) \| `(\w+)` \| (yes|no) \|/gm);
  const listed = [...rows].map(([, code, status, outcome, retry]) => [
    code,
    { status: Number(status), outcome, retryable: retry === 'yes' },
  ]);
  expect(Object.fromEntries(listed)).toEqual(errorCodes);
  expect(listed).toHaveLength(Object.keys(errorCodes).length);
});
