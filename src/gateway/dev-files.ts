/**
 * The files of a development server: the pages beside the app, and the client's own modules under `/fermata/`, so that a
 * page can `import { createClient } from '/fermata/client/client.js'` without a build. Used with `--dev` only, which
 * binds to loopback.
 *
 * In a checkout the modules are TypeScript: their types are stripped and relative imports renamed to `.js`, so that a
 * module has one URL there and in the built package.
 *
 * Invariants: every part of a path is a plain name, so that neither dots nor escapes leave the folder; what a link points
 * to must lie in the folder too; only known kinds of files are served, and of the sources only what browsers may see.
 */
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { extname, isAbsolute, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface DevFile {
  /** Content type. */
  readonly type: string;
  readonly body: string | Buffer;
}

/** Answers a request's path (as it stands in the URL, without the query) with a file, or undefined when there is none. */
export function devFiles(devRoot: string): (path: string) => DevFile | undefined {
  const cache = new Map<string, { readonly version: string; readonly file: DevFile }>();
  return (path) => {
    const place = placeOf(devRoot, path);
    if (place === undefined) return undefined;
    try {
      const file = realpathSync(join(place.root, place.name));
      const facts = statSync(file);
      if (!facts.isFile() || !isInside(realpathSync(place.root), file)) return undefined;
      const version = `${facts.mtimeMs} ${facts.size}`;
      const known = cache.get(path);
      if (known?.version === version) return known.file;
      const read: DevFile = { type: place.type, body: contentOf(file) };
      cache.set(path, { version, file: read });
      return read;
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  };
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
};

/** Rooms of the sources that run in browsers. */
const openRooms = ['client', 'protocol'];
const isCheckout = import.meta.url.endsWith('.ts');
const sources = fileURLToPath(new URL('..', import.meta.url));

interface Place {
  /** The folder that must not be left. */
  readonly root: string;
  readonly name: string;
  readonly type: string;
}

function placeOf(devRoot: string, path: string): Place | undefined {
  const parts = (path === '/' ? '/index.html' : path).slice(1).split('/');
  // No dot at the start: neither hidden files nor `..`. No percent sign: nothing to decode.
  if (!path.startsWith('/') || !parts.every((part) => /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(part))) return undefined;
  const type = types[extname(path === '/' ? '/index.html' : path)];
  if (type === undefined) return undefined;
  if (parts[0] !== 'fermata') return { root: devRoot, name: join(...parts), type };
  const [, room = '', ...rest] = parts;
  if (!openRooms.includes(room) || rest.length === 0 || extname(path) !== '.js') return undefined;
  const name = join(...rest);
  return { root: join(sources, room), name: isCheckout ? `${name.slice(0, -'.js'.length)}.ts` : name, type };
}

function isInside(root: string, file: string): boolean {
  const way = relative(root, file);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function contentOf(file: string): string | Buffer {
  return extname(file) === '.ts' ? toJavaScript(readFileSync(file, 'utf8')) : readFileSync(file);
}

function toJavaScript(source: string): string {
  // Node warns once that stripping is experimental, which tells the person at the terminal nothing. The call is synchronous.
  // oxlint-disable-next-line typescript/unbound-method
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return stripTypeScriptTypes(source).replace(
      /\b(from|import)(\s*\(?\s*)(['"])(\.{1,2}\/[^'"\n]+)\.ts\3/g,
      '$1$2$3$4.js$3',
    );
  } finally {
    process.emitWarning = emitWarning;
  }
}

function isAbsent(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG' || code === 'ELOOP' || code === 'EACCES';
}
