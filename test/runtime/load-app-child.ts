/**
 * Loads apps from real folders in child processes, because Node keeps what it has imported, and because the test runner
 * would transform TypeScript that Node refuses.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect } from 'vitest';

export type Files = Readonly<Record<string, string>>;
export type Answer = { actors?: string[]; name?: string; message?: string; hint?: string };

const fermata = new URL('../../src/index.ts', import.meta.url).href;
const loader = new URL('../../src/runtime/load-app.ts', import.meta.url).href;
/** Head of a module that defines an actor without any schema library. */
export const head = `import { actor, createApp } from '${fermata}';
const state = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } };
const counter = actor({ state, methods: {} });
`;

let root: string;
let folders = 0;

beforeAll(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'fermata-load-')));
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

export function folderOf(files: Files): string {
  const folder = join(root, `case-${(folders += 1)}`);
  mkdirSync(folder);
  for (const [name, text] of Object.entries({ 'package.json': '{"type":"module"}', ...files })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

export async function load(path: string, files: Files, loadMsMax = 15_000): Promise<Answer> {
  const folder = folderOf(files);
  const script = `
    import { loadApp } from '${loader}';
    const answer = await loadApp(process.argv[1], process.argv[2], ${loadMsMax}).then(
      (app) => ({ actors: [...app.actors.keys()] }),
      (error) => ({ name: error.name, message: error.message, hint: error.hint }),
    );
    console.log(JSON.stringify(answer));
    process.exit();`;
  const flags = [
    '--no-warnings',
    '--conditions=fermata-source',
    '--input-type=module',
    '-e',
    script,
    '--',
    path,
    folder,
  ];
  const { stdout } = await promisify(execFile)(process.execPath, flags, { timeout: 20_000 });
  return JSON.parse(stdout) as Answer;
}

export interface Case {
  readonly path?: string;
  readonly files: Files;
  readonly loadMsMax?: number;
  /** A string is the whole sentence. */
  readonly message: string | RegExp;
  readonly hint: string | RegExp;
}

export async function expectRefusal({ path = 'app.ts', files, loadMsMax, message, hint }: Case): Promise<void> {
  expect(await load(path, files, loadMsMax)).toEqual({
    name: 'AppLoadError',
    message: typeof message === 'string' ? message : expect.stringMatching(message),
    hint: typeof hint === 'string' ? hint : expect.stringMatching(hint),
  });
}
