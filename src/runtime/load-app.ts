/**
 * Loads the module that an operator named and takes the app out of it. Whatever is wrong with the path, the module or
 * its exports becomes an AppLoadError: one sentence and a hint, because the reader is an author who waits for a server.
 *
 * A module is loaded once per thread and cached by Node, also when it fails: a second try in the same thread gives the
 * same error. The app is known by its words (`kind`), so an author's own copy of the package is as good as ours.
 */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { AppDefinition } from '../actor/definition.ts';
import type { StandardSchemaV1 } from '../actor/schema.ts';
import { AppError } from '../protocol/errors.ts';
import { suggestion } from '../protocol/suggestion.ts';
import { AppLoadError } from './app-load-error.ts';
import { explainImportFailure } from './import-failure.ts';
import { Measure, ownCopy } from './plain-json.ts';
import { shown } from './source-place.ts';

const extensions = ['.ts', '.mts', '.js', '.mjs'];

/**
 * The app of a module: its default export, or the one called `app`, or the only export that is an app.
 * `path` may be relative to `cwd`; a module that is not loaded after `loadMsMax` milliseconds is given up.
 * @throws AppLoadError
 */
export async function loadApp(path: string, cwd: string, loadMsMax = 30_000): Promise<AppDefinition> {
  const file = resolve(cwd, path);
  await checkFile(file, cwd);
  const exported = await importModule(file, cwd, loadMsMax);
  const name = shown(file, cwd);
  const app = checkActors(pickApp(exported, name), name);
  for (const [type, { state }] of app.actors) refuseLossyState(type, state, name);
  return app;
}

async function checkFile(file: string, cwd: string): Promise<void> {
  const name = shown(file, cwd);
  const found = await stat(file).catch((error: NodeJS.ErrnoException) => error);
  if (found instanceof Error) {
    if (found.code !== 'ENOENT' && found.code !== 'ENOTDIR')
      throw new AppLoadError(
        `Cannot read ${name}: ${found.message}`,
        'Check the rights of the file and of its folders.',
      );
    const near = await neighbour(file);
    throw new AppLoadError(
      `There is no file ${name} (looked for ${file})`,
      near === undefined
        ? 'Name the module that exports your app, such as app.ts.'
        : `Did you mean ${shown(near, cwd)}?`,
    );
  }
  if (found.isDirectory()) {
    const inside = (await modulesIn(file)).find((entry) => /^(app|index|main)\./.test(entry));
    const example = shown(join(file, inside ?? 'app.ts'), cwd);
    throw new AppLoadError(
      `${name} is a folder, not a module`,
      `Name the file in it that exports your app, such as ${example}.`,
    );
  }
  if (!extensions.includes(extname(file))) {
    throw new AppLoadError(
      `${name} is no module that Fermata can load: its name must end in ${extensions.join(', ')}`,
      extname(file) === '.tsx' || extname(file) === '.jsx'
        ? 'JSX needs a build step, and actors render nothing: move them to a .ts file.'
        : 'Name the module that exports your app, such as app.ts.',
    );
  }
}

async function modulesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder).catch(() => []);
  return entries.filter((entry) => extensions.includes(extname(entry)));
}

/** A module in the same folder whose name is the missing one's but for its extension or a typing error. */
async function neighbour(file: string): Promise<string | undefined> {
  const modules = await modulesIn(dirname(file));
  const stem = (name: string): string => basename(name, extname(name));
  const twin = modules.find((entry) => stem(entry) === stem(file) || stem(entry) === basename(file));
  const near = twin ?? suggestion(basename(file), modules);
  return near === undefined ? undefined : join(dirname(file), near);
}

async function importModule(file: string, cwd: string, loadMsMax: number): Promise<Record<string, unknown>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const message = `${shown(file, cwd)} was not loaded after ${loadMsMax} ms: an "await" at its top level does not come back`;
    const hint = 'What may wait belongs into a handler or onActivate, with a limit.';
    timer = setTimeout(() => reject(new AppLoadError(message, hint)), loadMsMax);
  });
  try {
    return (await Promise.race([import(pathToFileURL(file).href), late])) as Record<string, unknown>;
  } catch (thrown) {
    throw thrown instanceof AppLoadError ? thrown : explainImportFailure(thrown, file, cwd);
  } finally {
    clearTimeout(timer);
  }
}

function pickApp(exported: Record<string, unknown>, name: string): AppDefinition {
  for (const preferred of ['default', 'app']) {
    const value = exported[preferred];
    if (isKind(value, 'fermata.app')) return value as AppDefinition;
  }
  const apps = Object.keys(exported).filter((key) => isKind(exported[key], 'fermata.app'));
  if (apps.length > 1) {
    throw new AppLoadError(
      `${name} exports ${apps.length} apps: ${apps.join(', ')}`,
      'Export the one to serve as default, or call it app.',
    );
  }
  const [only] = apps;
  if (only !== undefined) return exported[only] as AppDefinition;
  throw nothingToServe(exported, name);
}

function nothingToServe(exported: Record<string, unknown>, name: string): AppLoadError {
  const names = Object.keys(exported);
  const actorName = names.find((key) => isKind(exported[key], 'fermata.actor'));
  const what = names.length === 0 ? 'exports nothing' : `exports no app, only ${names.join(', ')}`;
  if (actorName === undefined) {
    return new AppLoadError(`${name} ${what}`, 'Export one: export const app = createApp({ actors: { … } }).');
  }
  const actor = actorName === 'default' ? 'counter: theActor' : actorName;
  return new AppLoadError(
    `${name} ${what}`,
    `An actor is served as part of an app: export const app = createApp({ actors: { ${actor} } }).`,
  );
}

/** Another copy may be of another version: what the runtime relies on is looked at before anything starts. */
function checkActors(app: AppDefinition, name: string): AppDefinition {
  const actors: unknown = app.actors;
  const fits =
    actors instanceof Map &&
    [...actors.values()].every(
      (actor) => isKind(actor, 'fermata.actor') && (actor as { methods?: unknown }).methods instanceof Map,
    );
  if (fits) return app;
  throw new AppLoadError(
    `${name} exports an app of another version of fermata, which this one cannot serve`,
    'Install one version for the app and the server: npm ls fermata shows which there are.',
  );
}

/** Told now, because no call to such an actor would ever work. A schema that answers later is asked when an actor starts. */
function refuseLossyState(type: string, schema: StandardSchemaV1 | undefined, name: string): void {
  const first = schema?.['~standard'].validate({});
  if (first === undefined || first instanceof Promise || first.issues !== undefined) return;
  try {
    ownCopy(first.value, '', new Measure());
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
    throw new AppLoadError(
      `${name}: a new "${type}" would start with what is no JSON: ${thrown.message}`,
      'Keep it as JSON has it: a time as a number or a string, a set as a list, a map as an object.',
    );
  }
}

function isKind(value: unknown, kind: 'fermata.app' | 'fermata.actor'): boolean {
  return typeof value === 'object' && value !== null && (value as { kind?: unknown }).kind === kind;
}
