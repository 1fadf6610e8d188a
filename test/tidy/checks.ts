/**
 * Holds files against the floor plan. Each check takes files as {path, text} and answers with sentences, one per
 * violation, that say where, what, and what the rule is; no answer means all is well.
 */
import { posix } from 'node:path';
import { emptyNames, environmentPlaces, linesMax, lodgings, rooms } from './floor-plan.ts';
import { codeOf, commentsOf, importsOf, type ImportedModule, type SourceFile } from './source-text.ts';

/** Does each room enter only those that it may? */
export function doorViolations(file: SourceFile): string[] {
  const [name, room] = roomOf(file.path) ?? [];
  if (name === undefined || room === undefined) return [];
  return importsOf(file.text).flatMap((imported) => {
    if (imported.module.startsWith('node:')) {
      return room.browser
        ? [`${at(file, imported)} imports ${imported.module}, but ${name} also runs in browsers`]
        : [];
    }
    if (!imported.module.startsWith('.')) return [];
    const target = posix.join(posix.dirname(file.path), imported.module);
    const [other] = roomOf(target) ?? [];
    if (other === undefined) return [`${at(file, imported)} imports ${target}, which is outside the house`];
    if (other === name || room.enters.includes(other)) return [];
    if (room.types?.includes(other)) {
      return imported.kind === 'type'
        ? []
        : [`${at(file, imported)} enters ${other}, but ${name} may only import its types (import type)`];
    }
    const allowed = room.enters.length === 0 ? 'no other room' : `only ${room.enters.join(', ')}`;
    return [`${at(file, imported)} enters ${other}, but ${name} may enter ${allowed}`];
  });
}

/** Does each package stay in its room, and does no other come in? */
export function packageViolations(file: SourceFile): string[] {
  if (!isProduct(file.path)) return [];
  return importsOf(file.text).flatMap((imported) => {
    if (imported.module.startsWith('.') || imported.module.startsWith('node:')) return [];
    const name = imported.module.split('/', imported.module.startsWith('@') ? 2 : 1).join('/');
    const lodging = lodgings[name];
    if (lodging === undefined) return [`${at(file, imported)} imports ${name}, which has no room in this house`];
    if (beginsWithOneOf(file.path, lodging.places)) return [];
    if (imported.kind === 'dynamic' && beginsWithOneOf(file.path, lodging.tried ?? [])) return [];
    return [`${at(file, imported)} imports ${name}, which lives in ${lodging.places.join(' and ')} only`];
  });
}

/** Is the environment read in one place? */
export function environmentViolations(file: SourceFile): string[] {
  if (!isProduct(file.path) || beginsWithOneOf(file.path, environmentPlaces)) return [];
  const code = codeOf(file.text, { strings: 'blank' });
  return linesWith(code, /\bprocess\s*\.\s*env\b/).map(
    (line) => `${file.path}:${line} reads process.env; settings come in through ${environmentPlaces.join(' and ')}`,
  );
}

/** Can each file be read in one sitting? */
export function lengthViolations(file: SourceFile): string[] {
  const max = linesMax[file.path.split('/')[0]!];
  const lines = file.text.replace(/\n$/, '').split('\n').length;
  if (max === undefined || lines <= max) return [];
  return [`${file.path} has ${lines} lines, ${max} is the most; split it by what it owns`];
}

/** Does each name say what is inside? */
export function nameViolations(file: SourceFile): string[] {
  const parts = file.path.split('/');
  const last = parts.at(-1)!;
  const violations: string[] = [];
  if (/\.tsx?$/.test(last)) {
    const stem = last.replace(/(\.test|\.types)?\.tsx?$/, '');
    if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.config)?$/.test(stem)) violations.push(`${file.path} is not named in kebab case`);
    if (stem === 'index' && file.path !== 'src/index.ts')
      violations.push(`${file.path} is a barrel; rooms are entered by the file that has the thing`);
  }
  for (const word of parts.flatMap((part) => part.replace(/\..*$/, '').toLowerCase().split('-'))) {
    if (emptyNames.includes(word))
      violations.push(`${file.path} is called "${word}", which says nothing about what is inside`);
  }
  return violations;
}

/** Is nothing waved through: untyped values, silenced errors, tests that do not run? */
export function wordViolations(file: SourceFile): string[] {
  const code = codeOf(file.text, { strings: 'blank' });
  const comments = commentsOf(file.text);
  const violations = [
    ...linesWith(code, /(?:[:<|&,=(]|\bas|\bextends|=>)\s*any\b(?!\s*[(:?])/).map(
      (line) => `${file.path}:${line} says "any"; use unknown and look`,
    ),
    ...linesWith(code, /\bexport\s*\*/).map((line) => `${file.path}:${line} exports with a star; name what you export`),
    ...linesWith(comments, /(?:\/\/|\/\*)\s*@ts-(?:ignore|nocheck)\b/).map(
      (line) => `${file.path}:${line} silences the type checker`,
    ),
  ];
  if (file.path.startsWith('test/')) {
    const stopped = linesWith(
      code,
      /\b(?:test|it|describe|suite|bench)\s*(?:\.\w+\s*)*\.\s*(?:only|skip|todo|fails|skipIf|runIf)\s*\(/,
    );
    violations.push(...stopped.map((line) => `${file.path}:${line} keeps tests from running`));
  } else {
    const expected = linesWith(comments, /(?:\/\/|\/\*)\s*@ts-expect-error\b/);
    violations.push(
      ...expected.map((line) => `${file.path}:${line} expects a type error, which belongs in tests only`),
    );
  }
  return violations;
}

/** Does every link inside the repository lead somewhere? `exists` answers for paths from the root. */
export function linkViolations(
  file: SourceFile,
  exists: (path: string) => boolean,
  textOf: (path: string) => string,
): string[] {
  const prose = file.text
    .replace(/^(```|~~~).*?^\1/gms, (block) => block.replace(/[^\n]/g, ' '))
    .replace(/`[^`\n]*`/g, (code) => ' '.repeat(code.length));
  return [...prose.matchAll(/\]\(\s*<?([^)\s>]+)>?[^)]*\)/g)].flatMap((match) => {
    const link = match[1]!;
    if (/^[a-z][a-z0-9+.-]*:/i.test(link)) return [];
    const where = `${file.path}:${prose.slice(0, match.index).split('\n').length}`;
    const [target = '', anchor] = link.split('#');
    const path = target === '' ? file.path : posix.join(posix.dirname(file.path), decodeURIComponent(target));
    if (path.startsWith('..') || !exists(path)) return [`${where} links to ${link}, but ${path} does not exist`];
    if (anchor === undefined || !path.endsWith('.md') || anchorsOf(textOf(path)).has(anchor)) return [];
    return [`${where} links to ${link}, but ${path} has no heading "${anchor}"`];
  });
}

/** Does only what belongs there stand at the top of the repository? */
export function topLevelViolations(names: readonly string[], allowed: readonly string[]): string[] {
  return names
    .filter((name) => !name.startsWith('.') && !/\.(tgz|log)$/.test(name) && !allowed.includes(name))
    .map((name) => `${name} stands at the top of the repository, where it has no place`);
}

function roomOf(path: string) {
  return Object.entries(rooms).find(([, room]) => path.startsWith(room.place));
}

function isProduct(path: string): boolean {
  return path.startsWith('src/') || path.startsWith('workers/');
}

function beginsWithOneOf(path: string, places: readonly string[]): boolean {
  return places.some((place) => path.startsWith(place));
}

function at(file: SourceFile, imported: ImportedModule): string {
  return `${file.path}:${imported.line}`;
}

function linesWith(text: string, pattern: RegExp): number[] {
  return text.split('\n').flatMap((line, index) => (pattern.test(line) ? [index + 1] : []));
}

/** Anchors of a document's headings, as forges make them. */
function anchorsOf(markdown: string): Set<string> {
  const headings = [...markdown.matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)].map((match) => match[1]!);
  const slugs = headings.map((heading) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
  return new Set(slugs);
}
