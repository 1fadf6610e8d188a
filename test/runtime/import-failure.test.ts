import { describe, test } from 'vitest';
import { type Case, expectRefusal, head } from './load-app-child.ts';

describe('an app that fails to load says, with place and hint,', () => {
  const cases: Record<string, Case> = {
    'a syntax error in TypeScript': {
      files: { 'app.ts': 'const a: number = 1;\nconst b: string = ;\n' },
      message: 'app.ts:2:19: Expression expected\n\n  2 | const b: string = ;\n    |                   ^',
      hint: 'Mend the line and start again.',
    },
    'a syntax error in an imported TypeScript file': {
      files: { 'app.ts': "import './lib/b.ts';", 'lib/b.ts': '\n\nlet = = 5;\n' },
      message: /^lib\/b\.ts:3:7: .+\n\n {2}3 \| let = = 5;\n {4}\| {7}\^$/,
      hint: /^Mend/,
    },
    'a syntax error in JavaScript': {
      path: 'app.js',
      files: { 'app.js': 'const a = 1;\nconst b = ;\n' },
      message: "app.js:2:11: Unexpected token ';'\n\n  2 | const b = ;\n    |           ^",
      hint: /^Mend/,
    },
    'a syntax error in an imported JavaScript file, running nothing twice': {
      files: {
        'app.ts': "import { a } from './a.ts';\nconsole.log(a);",
        'a.ts': "export { a } from './b.js';",
        'b.js': 'export const a = 1;\nconst a = 2;',
      },
      message: "b.js:2:7: Identifier 'a' has already been declared\n\n  2 | const a = 2;\n    |       ^",
      hint: /^Mend/,
    },
    'what the engine alone finds wrong in TypeScript': {
      files: { 'app.ts': 'let a: number = 1;\nlet a: number = 2;\n' },
      message: /^app\.ts:2:5: Identifier 'a' has already been declared/,
      hint: /^Mend/,
    },
    'a syntax error where no file of ours is to blame': {
      files: {
        'app.js': "import 'broken';",
        'node_modules/broken/package.json': '{"main":"index.js","type":"module"}',
        'node_modules/broken/index.js': 'const a = ;',
      },
      path: 'app.js',
      message: /^app\.js, or a file that it imports, has a syntax error: Unexpected token ';'$/,
      hint: /^Mend/,
    },
    'what the top level of the module fails to parse': {
      files: { 'app.ts': "const settings: unknown = JSON.parse('nope');\nexport { settings };" },
      message: /^app\.ts threw while it was loaded: Unexpected token .+ \(at app\.ts:1:\d+\)$/,
      hint: /^The top level of the module/,
    },
    'a project of CommonJS': {
      files: { 'package.json': '{"type":"commonjs"}', 'app.ts': "import { a } from './a.ts';\n" },
      message: /^app\.ts:1:1: Cannot use import statement outside a module/,
      hint: /^Write "type": "module" into the package\.json/,
    },
    'fermata itself, which is not in the registry': {
      files: { 'app.ts': "import { actor } from 'fermata';" },
      message: 'app.ts imports the package "fermata", which is not installed',
      hint: /^Install the package that you run, /,
    },
    'an enum': {
      files: { 'app.ts': '\nenum Color { Red }\n' },
      message: /^app\.ts:2:1: TypeScript enum is not supported in strip-only mode\n\n {2}2 \| enum Color/,
      hint: /^Node runs TypeScript by taking the types out, so enums, .*as const/,
    },
    'a parameter property': {
      files: { 'app.ts': 'class A { constructor(readonly x: number) {} }' },
      message: /^app\.ts:1:\d+: TypeScript parameter property is not supported/,
      hint: /^Node runs TypeScript by taking the types out/,
    },
    'a package that is not installed': {
      files: { 'app.ts': "import './lib.ts';", 'lib.ts': "import { z } from 'not-there/sub';" },
      message: 'lib.ts imports the package "not-there", which is not installed',
      hint: 'Install it: npm install not-there',
    },
    'a path alias of tsconfig.json': {
      files: { 'app.ts': "import '@/lib';" },
      message: /^app\.ts imports /,
      hint: /tsconfig|whole name|Check/,
    },
    'an import without extension': {
      files: { 'app.ts': "import './lib/room';", 'lib/room.ts': '' },
      message: 'app.ts imports lib/room, which does not exist',
      hint: 'Did you mean lib/room.ts? Node wants the whole name, with its extension.',
    },
    'an import of the built name': {
      files: { 'app.ts': "import './room.js';", 'room.ts': '' },
      message: 'app.ts imports room.js, which does not exist',
      hint: /^Did you mean room\.ts\?/,
    },
    'an import of a file that is nowhere': {
      files: { 'app.ts': "import './gone.ts';" },
      message: 'app.ts imports gone.ts, which does not exist',
      hint: 'Check the path and its extension.',
    },
    'an import of a folder': {
      files: { 'app.ts': "import './lib';", 'lib/index.ts': '' },
      message: 'app.ts imports the folder lib',
      hint: /^Did you mean lib\/index\.ts\?/,
    },
    'a type imported as a value': {
      files: {
        'app.ts': "import { Room } from './types.ts';\nexport type R = Room;",
        'types.ts': 'export interface Room {}',
      },
      message: /^app\.ts:1:10: The requested module '\.\/types\.ts' does not provide an export named 'Room'/,
      hint: 'Check the name. If Room is a type, import it as one: import type { Room } from …',
    },
    'TypeScript inside node_modules': {
      files: {
        'app.ts': "import 'lib';",
        'node_modules/lib/package.json': '{"main":"index.ts","type":"module"}',
        'node_modules/lib/index.ts': '',
      },
      message: 'app.ts leads to TypeScript inside node_modules, which Node does not run',
      hint: /^Copy the file into your project/,
    },
    'a module that throws': {
      files: {
        'app.ts': "import { f } from './lib.ts';\nf();",
        'lib.ts': "export function f() {\n  throw new TypeError('no database');\n}",
      },
      message: 'app.ts threw while it was loaded: no database (at lib.ts:2:9)',
      hint: /^The top level of the module runs once per shard/,
    },
    'a module that throws no error': {
      files: { 'app.ts': "throw 'nothing';" },
      message: 'app.ts threw "nothing" while it was loaded',
      hint: /^Throw errors only/,
    },
    'a definition with a mistake': {
      files: { 'app.ts': `${head}\nactor({ state, methods: { 'add one': {} } });` },
      message: /^app\.ts:5:1: actor\(\): "add one" is no legal method name/,
      hint: /^Mend the definition/,
    },
    'an app with a mistake': {
      files: { 'app.ts': `${head}export const app = createApp({ actors: { 'my counter': counter } });` },
      message: /^app\.ts:4:20: createApp\(\): "my counter" is no legal actor name/,
      hint: /^Mend the definition/,
    },
    'a package that throws': {
      files: {
        'app.ts': "import 'broken';",
        'node_modules/broken/package.json': '{"main":"index.js","type":"module"}',
        'node_modules/broken/index.js': "throw new Error('no licence');",
      },
      message: 'app.ts threw while it was loaded: no licence (at node_modules/broken/index.js:1:7)',
      hint: /^The top level/,
    },
    'a subpath that a package keeps to itself': {
      files: {
        'app.ts': "import 'closed/inner';",
        'node_modules/closed/package.json': '{"exports":"./index.js","type":"module"}',
        'node_modules/closed/index.js': '',
      },
      message: /^app\.ts could not be imported: Package subpath '\.\/inner' is not defined/,
      hint: 'Check what it imports.',
    },
    'an await that does not come back': {
      files: { 'app.ts': 'await new Promise((resolve) => setTimeout(resolve, 60_000));' },
      loadMsMax: 300,
      message: 'app.ts was not loaded after 300 ms: an "await" at its top level does not come back',
      hint: /^What may wait belongs into a handler/,
    },
  };

  test.each(Object.entries(cases))('%s', async (_what, refused) => {
    await expectRefusal(refused);
  });
});
