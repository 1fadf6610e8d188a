import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { devFiles } from '../../src/gateway/dev-files.ts';

let folder: string;
let root: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fermata-dev-files-'));
  root = join(folder, 'public');
  mkdirSync(join(root, 'art'), { recursive: true });
  writeFileSync(join(root, 'index.html'), '<p>hi');
  writeFileSync(join(root, 'chat.css'), 'p {}');
  writeFileSync(join(root, 'art', 'dot.png'), Buffer.from([1, 2, 255]));
  writeFileSync(join(root, '.env'), 'SECRET=1');
  writeFileSync(join(root, '.hidden.js'), 'x');
  writeFileSync(join(root, 'notes.txt'), 'x');
  writeFileSync(join(folder, 'outside.js'), 'x');
});

afterEach(() => rmSync(folder, { recursive: true }));

describe('pages', () => {
  it('are served by their kind, with the index at the root', () => {
    const serve = devFiles(root);
    expect(serve('/')).toEqual({ type: 'text/html; charset=utf-8', body: Buffer.from('<p>hi') });
    expect(serve('/index.html')?.body.toString()).toBe('<p>hi');
    expect(serve('/chat.css')?.type).toBe('text/css; charset=utf-8');
    expect(serve('/art/dot.png')).toEqual({ type: 'image/png', body: Buffer.from([1, 2, 255]) });
  });

  it('are read again when they change', () => {
    const serve = devFiles(root);
    const first = serve('/chat.css');
    expect(serve('/chat.css')).toBe(first);
    writeFileSync(join(root, 'chat.css'), 'p { color: red }');
    utimesSync(join(root, 'chat.css'), 1, 1);
    expect(serve('/chat.css')?.body.toString()).toBe('p { color: red }');
  });

  it.each([
    '',
    'index.html',
    '//index.html',
    '/.env',
    '/.hidden.js',
    '/notes.txt',
    '/nope.js',
    '/art',
    '/art/',
    '/../outside.js',
    '/art/../../outside.js',
    '/%2e%2e/outside.js',
    '/..%2foutside.js',
    '/art\\..\\..\\outside.js',
    '/index.html/x.js',
    '/index.html\0.js',
    `/${'a'.repeat(5000)}.js`,
    '/constructor',
    '/x.__proto__',
  ])('do not exist at %j', (path) => {
    expect(devFiles(root)(path)).toBeUndefined();
  });

  it('do not follow a link out of the folder', () => {
    symlinkSync(join(folder, 'outside.js'), join(root, 'link.js'));
    symlinkSync(folder, join(root, 'up'));
    symlinkSync(join(root, 'loop.js'), join(root, 'loop.js'));
    symlinkSync(join(root, 'chat.css'), join(root, 'inside.css'));
    const serve = devFiles(root);
    expect(serve('/link.js')).toBeUndefined();
    expect(serve('/up/outside.js')).toBeUndefined();
    expect(serve('/loop.js')).toBeUndefined();
    expect(serve('/inside.css')?.body.toString()).toBe('p {}');
  });

  it('may be missing altogether', () => {
    expect(devFiles(join(folder, 'nowhere'))('/')).toBeUndefined();
  });
});

describe('the modules of the client', () => {
  it('are JavaScript that imports JavaScript, all the way down', async () => {
    const serve = devFiles(root);
    const pending = ['/fermata/client/client.js'];
    const seen = new Set<string>();
    for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
      if (seen.has(path)) continue;
      seen.add(path);
      const file = serve(path);
      expect(file?.type, path).toBe('text/javascript; charset=utf-8');
      const code = String(file?.body);
      expect(code).not.toMatch(/^(import|export) type/m);
      for (const [, specifier = ''] of code.matchAll(/^(?:import|export)[^'"]*from '([^']+)'/gm)) {
        expect(specifier).toMatch(/^\.{1,2}\/.*\.js$/);
        pending.push(new URL(specifier, `http://page${path}`).pathname);
      }
      // Parses as JavaScript: only then does it fail on its relative import instead of its syntax.
      const error: unknown = await import(`data:text/javascript,${encodeURIComponent(code)}`).catch(
        (reason: unknown) => reason,
      );
      expect(error).not.toBeInstanceOf(SyntaxError);
    }
    expect(seen).toContain('/fermata/client/connection.js');
    expect(seen).toContain('/fermata/protocol/json-patch.js');
    expect([...seen].every((path) => /^\/fermata\/(client|protocol)\//.test(path))).toBe(true);
  });

  it('warn nobody about how they are made', () => {
    const module = JSON.stringify(new URL('../../src/gateway/dev-files.ts', import.meta.url).href);
    const script = `import { devFiles } from ${module}; console.log(devFiles('/')('/fermata/client/store.js') !== undefined);`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    expect({ stdout, stderr }).toEqual({ stdout: 'true\n', stderr: '' });
  });

  it.each([
    '/fermata',
    '/fermata/',
    '/fermata/client',
    '/fermata/client/',
    '/fermata/client/client.ts',
    '/fermata/client/client.css',
    '/fermata/client/nope.js',
    '/fermata/gateway/dev-files.js',
    '/fermata/client/../gateway/auth.js',
    '/fermata/client/../../package.js',
    '/fermata/host/config.js',
  ])('do not exist at %j', (path) => {
    expect(devFiles(root)(path)).toBeUndefined();
  });
});
