/** Holds the whole repository against its floor plan, and proves with planted violations that the checks would see them. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  doorViolations,
  environmentViolations,
  lengthViolations,
  linkViolations,
  nameViolations,
  packageViolations,
  topLevelViolations,
  wordViolations,
} from './tidy/checks.ts';
import { rooms, topLevel } from './tidy/floor-plan.ts';
import { codeOf, importsOf, type SourceFile } from './tidy/source-text.ts';

const root = join(import.meta.dirname, '..');
const folders = ['src', 'workers', 'bench', 'test', 'examples', 'docs'];

function textOf(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

function filesBelow(folder: string): SourceFile[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(root.length + 1)
        .replaceAll('\\', '/'),
    )
    .map((path) => ({ path, text: textOf(path) }));
}

const files = folders.flatMap(filesBelow);
const sources = files.filter((file) => /\.tsx?$/.test(file.path));
const documents = [
  ...files.filter((file) => file.path.endsWith('.md')),
  ...readdirSync(root)
    .filter((name) => name.endsWith('.md'))
    .map((name) => ({ path: name, text: textOf(name) })),
];

describe('the house', () => {
  test('there is something to look at', () => {
    expect(sources.length).toBeGreaterThan(30);
    for (const name of ['protocol', 'host', 'storage', 'cli']) {
      expect(sources.some((file) => file.path.startsWith(rooms[name]!.place))).toBe(true);
    }
  });

  test('rooms enter only the rooms that the floor plan opens to them', () => {
    expect(sources.flatMap(doorViolations)).toEqual([]);
  });

  test('every package stays in its room', () => {
    expect(sources.flatMap(packageViolations)).toEqual([]);
  });

  test('only the configuration looks at the environment', () => {
    expect(sources.flatMap(environmentViolations)).toEqual([]);
  });

  test('no file is too long to read', () => {
    expect(sources.flatMap(lengthViolations)).toEqual([]);
  });

  test('names say what is inside', () => {
    expect(sources.flatMap(nameViolations)).toEqual([]);
  });

  test('nothing is waved through', () => {
    expect(sources.flatMap(wordViolations)).toEqual([]);
  });

  test('the lock file says that no package is compiled, which npm 10 would do otherwise', () => {
    const lock = JSON.parse(textOf('package-lock.json')) as { packages: Record<string, { gypfile?: boolean }> };
    expect(lock.packages['node_modules/better-sqlite3']).toMatchObject({ gypfile: false });
  });

  test('links inside the repository lead somewhere', () => {
    expect(documents.length).toBeGreaterThan(0);
    expect(documents.flatMap((file) => linkViolations(file, (path) => existsSync(join(root, path)), textOf))).toEqual(
      [],
    );
  });

  test('only what belongs there stands at the top', () => {
    expect(topLevelViolations(readdirSync(root), topLevel)).toEqual([]);
  });
});

describe('planted violations are seen', () => {
  const plant = (path: string, text: string): SourceFile => ({ path, text });

  test.each([
    [
      'src/gateway/http.ts',
      `import { Shard } from '../runtime/shard.ts';`,
      'src/gateway/http.ts:1 enters runtime, but gateway may enter only protocol, host',
    ],
    [
      'src/runtime/shard.ts',
      `\nexport { layCables } from '../transport/embedded.ts';`,
      'src/runtime/shard.ts:2 enters transport, but runtime may only import its types (import type)',
    ],
    [
      'src/protocol/a.ts',
      `const a = await import("../host/log.ts");`,
      'src/protocol/a.ts:1 enters host, but protocol may enter no other room',
    ],
    [
      'src/protocol/a.ts',
      `import { randomBytes } from 'node:crypto';`,
      'src/protocol/a.ts:1 imports node:crypto, but protocol also runs in browsers',
    ],
    [
      'src/host/a.ts',
      `import '../../test/tidy.test.ts';`,
      'src/host/a.ts:1 imports test/tidy.test.ts, which is outside the house',
    ],
    [
      'src/client/client.ts',
      `import type { Shard } from '../runtime/shard.ts';`,
      'src/client/client.ts:1 enters runtime, but client may enter only protocol',
    ],
    [
      'src/storage/a.ts',
      `import {\n  a,\n  b,\n} from '../actor/definition.ts';`,
      'src/storage/a.ts:1 enters actor, but storage may enter only protocol, host',
    ],
  ])('a wrong door in %s: %s', (path, text, sentence) => {
    expect(doorViolations(plant(path, text))).toEqual([sentence]);
  });

  test('types may pass where only types may', () => {
    expect(
      doorViolations(plant('src/gateway/a.ts', `import type { GatewayLink } from '../transport/contract.ts';`)),
    ).toEqual([]);
    expect(doorViolations(plant('src/gateway/a.ts', `// import { Shard } from '../runtime/shard.ts';`))).toEqual([]);
  });

  test.each([
    ['src/runtime/turn.ts', `import Database from 'better-sqlite3';`, 'which lives in src/storage/ only'],
    ['src/cli/serve.ts', `import { App } from 'uWebSockets.js';`, 'which lives in src/gateway/ only'],
    ['src/cli/doctor-machine.ts', `import { App } from 'uWebSockets.js';`, 'which lives in src/gateway/ only'],
    ['src/gateway/socket.ts', `import { jwtVerify } from 'jose';`, 'which lives in src/gateway/auth only'],
    ['src/runtime/turn.ts', `import { produce } from 'immer';`, 'which lives in src/runtime/state-engine.ts only'],
    ['workers/shard.ts', `const pino = require('pino');`, 'which lives in src/host/log.ts only'],
    ['src/actor/actor.ts', `import { z } from 'zod/v4';`, 'imports zod, which has no room in this house'],
    [
      'src/runtime/a.ts',
      `export { thing } from '@scope/name/deep';`,
      'imports @scope/name, which has no room in this house',
    ],
  ])('a package in the wrong room: %s %s', (path, text, words) => {
    const [violation] = packageViolations(plant(path, text));
    expect(violation).toContain(words);
  });

  test('the doctor may try whether uWebSockets loads', () => {
    expect(packageViolations(plant('src/cli/doctor-machine.ts', `await import('uWebSockets.js');`))).toEqual([]);
  });

  test('an environment variable read in passing', () => {
    const text = `const a = 1;\nconst port = process.env.PORT;`;
    expect(environmentViolations(plant('src/gateway/a.ts', text))).toEqual([
      expect.stringContaining('src/gateway/a.ts:2 reads process.env'),
    ]);
    expect(environmentViolations(plant('src/host/config-load.ts', text))).toEqual([]);
    expect(
      environmentViolations(plant('src/gateway/a.ts', `// process.env is read elsewhere\nconst a = 'process.env';`)),
    ).toEqual([]);
  });

  test('a file that grew too long, and a thread entry that does more than enter', () => {
    expect(lengthViolations(plant('src/host/a.ts', 'a\n'.repeat(300)))).toEqual([]);
    expect(lengthViolations(plant('src/host/a.ts', 'a\n'.repeat(301)))).toEqual([
      'src/host/a.ts has 301 lines, 300 is the most; split it by what it owns',
    ]);
    expect(lengthViolations(plant('workers/shard.ts', 'a\n'.repeat(41)))).toHaveLength(1);
  });

  test.each([
    'src/host/utils.ts',
    'src/helpers/a.ts',
    'src/runtime/shard-manager.ts',
    'src/gateway/index.ts',
    'src/host/someThing.ts',
    'src/host/Log.ts',
  ])('the name %s', (path) => {
    expect(nameViolations(plant(path, ''))).toHaveLength(1);
  });

  test.each([
    ['src/host/a.ts', 'function f(x: any) {}'],
    ['src/host/a.ts', 'const a = b as any;'],
    ['src/host/a.ts', 'const a = new Map<string, any>();'],
    ['src/host/a.ts', 'type A = () => any;'],
    ['src/host/a.ts', `const a = /["']/; type B = any;`],
    ['src/host/a.ts', "const a = `${'`'}`; type B = any;"],
    ['src/host/a.ts', '// @ts-ignore'],
    ['src/host/a.ts', '// @ts-expect-error'],
    ['src/host/a.ts', `export * from './b.ts';`],
    ['test/host/a.test.ts', `test.only('a', () => {});`],
    ['test/host/a.test.ts', `describe.skip('a', () => {});`],
    ['test/host/a.test.ts', `test.skipIf(true)('a', () => {});`],
    ['test/host/a.test.ts', `test.concurrent.skip('a', () => {});`],
  ])('in %s: %s', (path, text) => {
    expect(wordViolations(plant(path, text))).toHaveLength(1);
  });

  test('words in comments and strings, and names that look alike, are left alone', () => {
    const text = `// any\n/* as any */\nconst a = 'as any'; const b = \`: any\`; const many: string = a; const any1 = Promise.any([]);`;
    expect(wordViolations(plant('src/host/a.ts', text))).toEqual([]);
    expect(wordViolations(plant('test/host/a.test.ts', `const text = "test.only('a')"; iterator.skip(1);`))).toEqual(
      [],
    );
  });

  test('links that lead nowhere', () => {
    const exists = (path: string) => ['docs/cli.md', 'docs/guide.md'].includes(path);
    const heading = () => '# Exit codes, all of them\n';
    const text =
      '[a](cli.md) [b](gone.md) [c](https://x.example/y) [d](cli.md#exit-codes-all-of-them) [e](cli.md#no) `[f](gone.md)`\n```\n[g](gone.md)\n```\n[h](../../etc)';
    expect(linkViolations(plant('docs/guide.md', text), exists, heading)).toEqual([
      'docs/guide.md:1 links to gone.md, but docs/gone.md does not exist',
      'docs/guide.md:1 links to cli.md#no, but docs/cli.md has no heading "no"',
      'docs/guide.md:5 links to ../../etc, but ../etc does not exist',
    ]);
  });

  test('a stray file at the top', () => {
    expect(topLevelViolations(['src', 'notes.txt', '.env', 'fermata-0.1.0.tgz'], topLevel)).toEqual([
      'notes.txt stands at the top of the repository, where it has no place',
    ]);
  });

  test('imports are found in every form, with their lines', () => {
    const text = `#!/usr/bin/env node\nimport a, { type B } from 'a';\nimport type { C } from "c";\nimport * as d from 'd';\nimport 'e';\nexport { f } from 'f';\nexport type { G } from 'g';\nexport const h = await import('h');\n`;
    expect(importsOf(text).map(({ module, kind, line }) => `${module} ${kind} ${line}`)).toEqual([
      'a value 2',
      'c type 3',
      'd value 4',
      'e value 5',
      'f value 6',
      'g type 7',
      'h dynamic 8',
    ]);
  });

  test('blanking comments and strings moves nothing', () => {
    const text = 'a /* b\nc */ d // e\n"f\\"" + `g${h({ i: `j` })}k` / 2 / l;';
    const code = codeOf(text, { strings: 'blank' });
    expect(code).toHaveLength(text.length);
    expect(code.split('\n')).toHaveLength(3);
    expect(code).not.toMatch(/[bcefgijk]/);
  });
});
