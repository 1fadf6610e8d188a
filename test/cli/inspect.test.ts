import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { Journal } from '../../src/storage/journal.ts';
import { fermata, newFolder } from './command-fixture.ts';

const dataDir = newFolder();

beforeAll(() => {
  mkdirSync(join(dataDir, 'journal'), { recursive: true });
  const journal = Journal.open(join(dataDir, 'journal', '0.db'));
  const entry = (tenant: string, id: string, state: unknown) => ({
    address: { tenant, type: 'counter', id },
    seq: 1,
    version: 1,
    change: { kind: 'state' as const, text: JSON.stringify(state) },
    call: undefined,
  });
  journal.commit(
    [entry('acme', 'c1', { count: 7 }), entry('acme', '-c2', { note: 'bell \u009b31m' }), entry('globex', 'c1', {})],
    'durable',
  );
  journal.close();
});

const inspect = (...words: string[]) => fermata(['inspect', ...words, '--data-dir', dataDir]);

test('tenants are listed by default', async () => {
  const { exitCode, out } = await inspect();
  expect(exitCode).toBe(0);
  expect(out.split('\n').map((line) => line.split(/ {2,}/)[0])).toEqual(['tenant', 'acme', 'globex']);
  expect(await inspect('tenants')).toEqual({ exitCode, out, err: '' });
});

test('the actors of one tenant are listed, and of no other', async () => {
  const { out } = await inspect('actors', 'acme');
  expect(out).toMatch(/^counter +c1 +1 +11 bytes/m);
  expect(out.split('\n')).toHaveLength(3);
});

test('one actor is shown with its state', async () => {
  const { exitCode, out } = await inspect('actor', 'acme', 'counter', 'c1');
  expect(exitCode).toBe(0);
  expect(out).toMatch(/^tenant +acme$/m);
  expect(out).toMatch(/^seq +1$/m);
  expect(out).toContain('{\n  "count": 7\n}');
});

test('--json gives the same to scripts', async () => {
  expect(JSON.parse((await inspect('--json')).out)).toMatchObject([{ tenant: 'acme' }, { tenant: 'globex' }]);
  expect(JSON.parse((await inspect('actors', 'acme', '--json')).out)).toHaveLength(2);
  expect(JSON.parse((await inspect('actor', 'acme', 'counter', 'c1', '--json')).out)).toMatchObject({
    type: 'counter',
    id: 'c1',
    seq: 1,
    state: { count: 7 },
  });
});

test('an id that begins with a dash comes after --, and its state cannot steer the terminal', async () => {
  const { exitCode, out } = await fermata(['inspect', 'actor', '--data-dir', dataDir, '--', 'acme', 'counter', '-c2']);
  expect(exitCode).toBe(0);
  expect(out).toContain('bell \\u009b31m');
});

test.each([
  [['actors', 'nobody'], 'there is no tenant "nobody"'],
  [['actors', '../acme'], 'is not a name that a tenant can have'],
  [['actor', 'acme', 'counter', 'c9'], 'has no actor "counter/c9"'],
])('what is not there is told in one line: %s', async (words, sentence) => {
  const { exitCode, out, err } = await inspect(...words);
  expect({ exitCode, out }).toEqual({ exitCode: 1, out: '' });
  expect(err).toContain(sentence);
  expect(err.split('\n')).toHaveLength(1);
});

test('an empty data directory has no tenants yet, and an absent one is told and not made', async () => {
  const empty = newFolder();
  expect((await fermata(['inspect', '--data-dir', empty])).out).toBe(`there are no tenants in ${empty} yet`);
  const absent = join(empty, 'absent');
  const { exitCode, err } = await fermata(['inspect', '--data-dir', absent]);
  expect(exitCode).toBe(1);
  expect(err).toContain(absent);
  expect(existsSync(absent)).toBe(false);
});

test.each([
  [['actr', 'acme'], 'did you mean actor?'],
  [['actors'], 'inspect actors takes <tenant>'],
  [['actor', 'acme', 'counter'], 'inspect actor takes <tenant> <type> <id>'],
  [['tenants', 'acme'], 'inspect tenants takes no further words'],
])('the wrong words are told: %s', async (words, sentence) => {
  const { exitCode, err } = await inspect(...words);
  expect(exitCode).toBe(64);
  expect(err).toContain(sentence);
});
