/**
 * Says in one sentence why `import()` of an author's module failed, and where. Node tells most of it in error codes and
 * in the head of the stack; the kinds that it words for its own developers are worded here for authors.
 */
import { existsSync } from 'node:fs';
import { basename, dirname, extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AppLoadError } from './app-load-error.ts';
import { findSyntaxError, shown, type SourcePlace, stackHeadPlace } from './source-place.ts';

/** Frames below this folder are ours, not the author's. */
const ownFolder = fileURLToPath(new URL('..', import.meta.url));

/** `file` is the module that was asked for; the failure may lie in what it imports. */
export function explainImportFailure(thrown: unknown, file: string, cwd: string): AppLoadError {
  if (!(thrown instanceof Error)) {
    return new AppLoadError(
      `${shown(file, cwd)} threw ${inspectShort(thrown)} while it was loaded`,
      'Throw errors only: they carry a message and a place.',
      thrown,
    );
  }
  const code = (thrown as NodeJS.ErrnoException).code;
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'ERR_UNSUPPORTED_DIR_IMPORT') return missingImport(thrown, cwd);
  if (code === 'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING') {
    return new AppLoadError(
      `${shown(file, cwd)} leads to TypeScript inside node_modules, which Node does not run`,
      'Copy the file into your project, or import a package that is built to JavaScript.',
      thrown,
    );
  }
  const place = blamedFrame(thrown);
  // One that was thrown while a module ran, by JSON.parse for instance, has a frame of that module.
  if (thrown instanceof SyntaxError && place === undefined) return syntaxError(thrown, code, file, cwd);
  if (thrown.name === 'DefinitionError') {
    return new AppLoadError(
      `${shown(place ?? file, cwd)}: ${thrown.message}`,
      'Mend the definition and start again.',
      thrown,
    );
  }
  if (place === undefined) {
    return new AppLoadError(
      `${shown(file, cwd)} could not be imported: ${thrown.message}`,
      'Check what it imports.',
      thrown,
    );
  }
  return new AppLoadError(
    `${shown(file, cwd)} threw while it was loaded: ${thrown.message || thrown.name} (at ${shown(place, cwd)})`,
    'The top level of the module runs once per shard at start; what may fail there belongs into a handler or onActivate.',
    thrown,
  );
}

function missingImport(error: Error, cwd: string): AppLoadError {
  const [, kind, wanted, from] =
    /^(?:Cannot find )?(package|module|Directory import) '([^']+)'.* imported from (.+)$/m.exec(error.message) ?? [];
  if (kind === undefined || wanted === undefined || from === undefined) {
    return new AppLoadError(error.message, 'Check what your module imports.', error);
  }
  const importer = shown(toPath(from.trim()), cwd);
  if (kind === 'package' && !wanted.startsWith('/')) {
    const alias = /^[@~]\//.test(wanted);
    return new AppLoadError(
      `${importer} imports the package "${wanted}", which is not installed`,
      alias
        ? 'Node does not read the "paths" of tsconfig.json: use a relative path.'
        : wanted.split('/')[0] === 'fermata'
          ? 'Install the package that you run, from its folder or its .tgz: "fermata" in the npm registry is another one.'
          : `Install it: npm install ${wanted}`,
      error,
    );
  }
  const target = shown(toPath(wanted), cwd);
  const near = withExtension(toPath(wanted));
  const hint =
    near === undefined
      ? 'Check the path and its extension.'
      : `Did you mean ${shown(near, cwd)}? Node wants the whole name, with its extension.`;
  const what = kind === 'Directory import' ? `imports the folder ${target}` : `imports ${target}, which does not exist`;
  return new AppLoadError(`${importer} ${what}`, hint, error);
}

/** The file that was probably meant by a path with no extension, with that of the built file, or of a folder. */
function withExtension(path: string): string | undefined {
  const stem = path.slice(0, path.length - extname(path).length);
  const candidates = ['.ts', '.mts', '.js', '.mjs', '/index.ts', '/index.js'].flatMap((ending) => [
    `${path}${ending}`,
    `${stem}${ending}`,
  ]);
  return candidates.find(
    (candidate) => candidate !== path && basename(dirname(candidate)) !== '' && existsSync(candidate),
  );
}

function syntaxError(error: SyntaxError, code: string | undefined, file: string, cwd: string): AppLoadError {
  const place = stackHeadPlace(error.stack ?? '') ?? findSyntaxError(error.message, file);
  const what =
    place === undefined
      ? `${shown(file, cwd)}, or a file that it imports, has a syntax error: ${error.message}`
      : excerpt(place, error.message, cwd);
  return new AppLoadError(what, syntaxHint(error, code), error);
}

function syntaxHint(error: SyntaxError, code: string | undefined): string {
  if (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') {
    return (
      'Node runs TypeScript by taking the types out, so enums, namespaces with values and parameter properties do not work: ' +
      'use an object with "as const", a module, a plain field. "erasableSyntaxOnly" in tsconfig.json finds them all.'
    );
  }
  const name = /does not provide an export named '([^']+)'/.exec(error.message)?.[1];
  if (name !== undefined)
    return `Check the name. If ${name} is a type, import it as one: import type { ${name} } from …`;
  if (error.message === 'Cannot use import statement outside a module')
    return 'Write "type": "module" into the package.json of your project: without it Node takes the file for CommonJS.';
  return 'Mend the line and start again.';
}

function excerpt(place: SourcePlace, message: string, cwd: string): string {
  const number = String(place.line);
  const head = `${shown(place.file, cwd)}:${number}:${place.column}: ${message}`;
  return `${head}\n\n  ${number} | ${place.text}\n  ${' '.repeat(number.length)} | ${' '.repeat(place.column - 1)}^`;
}

/** The topmost stack frame in a file of the author's, else in a package, as path:line:column. Undefined: all of Node. */
function blamedFrame(error: Error): string | undefined {
  let inPackage: string | undefined;
  for (const line of (error.stack ?? '').split('\n')) {
    const [, where, position] = /^\s+at (?:.* \(|async )?((?:file:\/\/)?\/[^()]*?)(:\d+:\d+)\)?$/.exec(line) ?? [];
    if (where === undefined || position === undefined) continue;
    const path = toPath(where);
    // Below this frame stand those who asked for the app.
    if (path.startsWith(`${ownFolder}runtime/load-app.`)) break;
    if (path.startsWith(ownFolder)) continue;
    if (!path.includes('/node_modules/')) return path + position;
    inPackage ??= path + position;
  }
  return inPackage;
}

function toPath(pathOrUrl: string): string {
  return pathOrUrl.startsWith('file:') ? fileURLToPath(pathOrUrl) : pathOrUrl;
}

function inspectShort(value: unknown): string {
  return typeof value === 'string'
    ? JSON.stringify(value.slice(0, 200))
    : typeof value === 'object' && value !== null
      ? 'an object'
      : String(value);
}
