/**
 * The package as people get it: packed, installed into an empty folder, used through its command, its front door and its
 * types. Nothing here sees the sources.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { handMadeApp } from './support/hand-made-app.ts';

const root = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'fermata-package-'));
const consumer = join(folder, 'consumer');
const installed = join(consumer, 'node_modules/fermata');
const minutes = 60_000;
// The command starts with `env node`: it gets the Node that runs this test, and no setting of whoever runs it.
const env = {
  HOME: process.env.HOME,
  PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
  LOG_LEVEL: 'info',
};
const running = new Set<ChildProcess>();

function run(cwd: string, command: string, ...words: string[]) {
  const { status, stdout, stderr } = spawnSync(command, words, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  return { status, stdout, stderr };
}

beforeAll(() => {
  const packed = run(root, 'npm', 'pack', '--silent', '--pack-destination', folder);
  expect(packed.status, packed.stdout + packed.stderr).toBe(0);
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'));
  expect(tarball).toBe('fermata-0.1.0.tgz');
  mkdirSync(consumer);
  writeFileSync(join(consumer, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }));
  const install = run(
    consumer,
    'npm',
    'install',
    '--no-audit',
    '--no-fund',
    '--prefer-offline',
    join(folder, tarball!),
  );
  expect(install.status, install.stderr).toBe(0);
}, 5 * minutes);

afterAll(async () => {
  for (const child of running) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  rmSync(folder, { recursive: true, force: true });
});

test('it holds what is needed to use it, and neither sources nor tests', () => {
  expect(readdirSync(installed).sort()).toEqual(
    expect.arrayContaining(['CHANGELOG.md', 'LICENSE', 'README.md', 'dist', 'docs', 'package.json']),
  );
  expect(readdirSync(join(installed, 'dist')).sort()).toEqual(['src', 'workers']);
  for (const absent of ['src', 'test', 'bench', 'data']) expect(existsSync(join(installed, absent))).toBe(false);
});

test('its command runs', () => {
  expect(run(consumer, 'npx', 'fermata', '--version')).toMatchObject({ status: 0, stdout: '0.1.0\n' });
  expect(run(consumer, 'npx', 'fermata', 'sevre').status).toBe(64);
});

test('an app is served from a built package: ready, one call, a clean stop', { timeout: 2 * minutes }, async () => {
  writeFileSync(join(consumer, 'app.js'), handMadeApp);
  const server = spawn(join(consumer, 'node_modules/.bin/fermata'), ['serve', 'app.js', '--dev', '--port', '0'], {
    cwd: consumer,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(server);
  const exited = once(server, 'exit').then(([code]) => code as unknown);
  const address = await addressOf(server);
  const response = await fetch(`${address}/v1/actors/counter/c1/add`, { method: 'POST', body: '{"amount":2}' });
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({ result: 2 });
  server.kill('SIGTERM');
  expect(await exited).toBe(0);
  running.delete(server);
  expect(run(consumer, 'npx', 'fermata', 'inspect', 'actor', 'dev', 'counter', 'c1').stdout).toContain('"count": 2');
});

test("the README's app and client type-check against the package", { timeout: 2 * minutes }, () => {
  const blocks = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/^```ts\n\/\/ (\S+)\n(.*?)^```$/gms)];
  expect(blocks.map(([, name]) => name)).toEqual(['app.ts', 'client.ts']);
  for (const [, name, text] of blocks) writeFileSync(join(consumer, name!), text!);
  // The client's types are those of the actor: what does not fit must not compile.
  writeFileSync(join(consumer, 'misuse.ts'), misuse);
  symlinkSync(join(root, 'node_modules/zod'), join(consumer, 'node_modules/zod'));
  const compilerOptions = {
    target: 'es2024',
    module: 'nodenext',
    lib: ['es2024', 'dom'],
    types: [],
    strict: true,
    noEmit: true,
    allowImportingTsExtensions: true,
    verbatimModuleSyntax: true,
  };
  writeFileSync(
    join(consumer, 'tsconfig.json'),
    JSON.stringify({ compilerOptions, files: ['app.ts', 'client.ts', 'misuse.ts'] }),
  );
  expect(run(consumer, join(root, 'node_modules/.bin/tsc'), '-p', '.')).toMatchObject({ stdout: '', status: 0 });
});

/** Where it listens, once its log says that it is ready. Rejects when it ends before. */
async function addressOf(server: ChildProcess): Promise<string> {
  const seen: string[] = [];
  server.stderr?.on('data', (chunk: Buffer) => seen.push(chunk.toString()));
  for await (const line of createInterface({ input: server.stdout! })) {
    seen.push(line);
    if (!line.includes('"msg":"ready"')) continue;
    // Whoever stops reading would stop the writer.
    server.stdout?.resume();
    return (JSON.parse(line) as { address: string }).address;
  }
  throw new Error(`it ended before it was ready:\n${seen.join('\n')}`);
}

const misuse = `
import { createClient } from 'fermata/client';
import type { app } from './app.ts';

const client = createClient<typeof app>({ url: 'ws://127.0.0.1:8080' });
const sum: number = await client.counter('c1').add({ amount: sum0() });
// @ts-expect-error the input is checked
await client.counter('c1').add({ amount: 'two' });
// @ts-expect-error there is no such method
await client.counter('c1').subtract({ amount: 2 });
// @ts-expect-error there is no such actor
client.clock('c1');
// @ts-expect-error there is no such event
client.counter('c1').on('chnaged', () => {});
function sum0(): number {
  return sum;
}
`;
