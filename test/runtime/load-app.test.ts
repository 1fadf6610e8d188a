import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type Case, expectRefusal, folderOf, head, load } from './load-app-child.ts';

describe('loadApp() takes', () => {
  test.each<[what: string, source: string, actors: string[]]>([
    [
      'the default export',
      'export default createApp({ actors: { counter } }); export const app = createApp({ actors: { other: counter } });',
      ['counter'],
    ],
    [
      'the export called app',
      'export const other = 1; export const app = createApp({ actors: { room: counter } });',
      ['room'],
    ],
    [
      'app when default is no app',
      'export default counter; export const app = createApp({ actors: { counter } });',
      ['counter'],
    ],
    [
      'the only export that is an app',
      'export const chat = createApp({ actors: { counter } }); export { counter };',
      ['counter'],
    ],
  ])('%s', async (_what, source, actors) => {
    expect(await load('app.ts', { 'app.ts': head + source })).toEqual({ actors });
  });

  test.each(['app.ts', 'app.mts', 'app.js', 'app.mjs'])('a module called %s', async (name) => {
    expect(await load(name, { [name]: `${head} export default createApp({ actors: { counter } });` })).toEqual({
      actors: ['counter'],
    });
  });

  test('an absolute path with spaces and signs in it', async () => {
    const folder = folderOf({ 'my apps #1/%20.ts': `${head} export default createApp({ actors: { counter } });` });
    expect(await load(join(folder, 'my apps #1/%20.ts'), {})).toEqual({ actors: ['counter'] });
  });

  test.each([
    ['app', ['counter', 'chat']],
    ['counter', ['counter']],
    ['chat', ['chat']],
  ])('the example %s', async (name, actors) => {
    expect(await load(fileURLToPath(new URL(`../../examples/${name}.ts`, import.meta.url)), {})).toEqual({ actors });
  });

  test('an app that another copy of the package made', async () => {
    const source = `export const app = { kind: 'fermata.app', actors: new Map([['a', { kind: 'fermata.actor', methods: new Map() }]]) };`;
    expect(await load('app.js', { 'app.js': source })).toEqual({ actors: ['a'] });
  });
});

describe('loadApp() refuses, with a sentence and a hint,', () => {
  const cases: Record<string, Case> = {
    'a missing file': {
      files: {},
      message: /^There is no file app\.ts \(looked for \/.+\/app\.ts\)$/,
      hint: /^Name the module/,
    },
    'a missing file with another extension beside it': {
      path: 'app.js',
      files: { 'app.ts': '' },
      message: /^There is no file app\.js/,
      hint: 'Did you mean app.ts?',
    },
    'a misspelt file': {
      path: 'src/caht.ts',
      files: { 'src/chat.ts': '' },
      message: /^There is no file src\/caht\.ts/,
      hint: 'Did you mean src/chat.ts?',
    },
    'a path without extension': {
      path: 'src/chat',
      files: { 'src/chat.ts': '' },
      message: /^There is no file src\/chat /,
      hint: 'Did you mean src/chat.ts?',
    },
    'a folder': {
      path: 'src',
      files: { 'src/app.ts': '' },
      message: 'src is a folder, not a module',
      hint: 'Name the file in it that exports your app, such as src/app.ts.',
    },
    'another kind of file': {
      path: 'app.json',
      files: { 'app.json': '{}' },
      message: /^app\.json is no module .*\.ts, \.mts, \.js, \.mjs$/,
      hint: /^Name the module/,
    },
    'a file with JSX': {
      path: 'app.tsx',
      files: { 'app.tsx': '' },
      message: /^app\.tsx is no module/,
      hint: /^JSX needs a build step/,
    },
    'a module that exports nothing': {
      files: { 'app.ts': head },
      message: 'app.ts exports nothing',
      hint: /^Export one: export const app = createApp/,
    },
    'a module that exports other things': {
      files: { 'app.ts': 'export const a = 1; export const b = {}; export default null;' },
      message: 'app.ts exports no app, only a, b, default',
      hint: /^Export one/,
    },
    'a module that exports actors only': {
      files: { 'app.ts': `${head}export { counter };` },
      message: 'app.ts exports no app, only counter',
      hint: 'An actor is served as part of an app: export const app = createApp({ actors: { counter } }).',
    },
    'a choice of apps': {
      files: {
        'app.ts': `${head}export const a = createApp({ actors: { counter } }); export const b = createApp({ actors: { counter } });`,
      },
      message: 'app.ts exports 2 apps: a, b',
      hint: 'Export the one to serve as default, or call it app.',
    },
    'a first state that is no JSON': {
      path: 'app.ts',
      files: {
        'app.ts': `${head}
          const today = { '~standard': { ...state['~standard'], validate: () => ({ value: { at: new Date() } }) } };
          export const app = createApp({ actors: { dated: actor({ state: today, methods: {} }) } });`,
      },
      message: /^app\.ts: a new "dated" would start with what is no JSON: state\/at is a Date/,
      hint: /^Keep it as JSON has it/,
    },
    'an app of a version with another shape': {
      path: 'app.js',
      files: { 'app.js': "export const app = { kind: 'fermata.app', actors: { a: {} } };" },
      message: /^app\.js exports an app of another version of fermata/,
      hint: /npm ls fermata/,
    },
  };

  test.each(Object.entries(cases))('%s', async (_what, refused) => {
    await expectRefusal(refused);
  });
});
