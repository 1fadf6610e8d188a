/**
 * Where in a file a syntax error lies. Node knows, but tells only some of it:
 *
 * - errors found while types are taken out carry `file:line`, the source line and a caret in the head of their stack;
 * - errors found by the engine itself (all of those in .js files) carry nothing, and Node prints the place only when the
 *   error ends the process. So a child process parses the module and the files that it imports, running none of them,
 *   and dies of the first with the same message.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, extname, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface SourcePlace {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** The source line. */
  readonly text: string;
}

/** A path as people wrote it or would write it. */
export function shown(file: string, cwd: string): string {
  const short = relative(cwd, file);
  return short === '' || short.startsWith('..') ? file : short;
}

/** Files looked through for one syntax error. */
const filesMax = 200;
const childMsMax = 10_000;

/** Reads `file:line`, source and caret at the head of a stack or of what Node prints when it dies. */
export function stackHeadPlace(stack: string): SourcePlace | undefined {
  const lines = stack.split('\n');
  const head = /^((?:file:\/\/)?\/.+):(\d+)$/.exec(lines[0] ?? '');
  const caret = lines.findIndex((line) => /^\s*\^+\s*$/.test(line));
  if (head === null || caret < 1) return undefined;
  const file = head[1]!.startsWith('file:') ? fileURLToPath(head[1]!) : head[1]!;
  return { file, line: Number(head[2]), column: lines[caret]!.indexOf('^') + 1, text: lines[caret - 1]! };
}

/** Looks for the file that fails to parse with this message, from `entry` along relative imports. */
export function findSyntaxError(message: string, entry: string): SourcePlace | undefined {
  const flags = ['--no-warnings', '--experimental-vm-modules', '-e', parseAll, '--'];
  const child = spawnSync(process.execPath, [...flags, message, ...importGraph(entry)], {
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: childMsMax,
  });
  return stackHeadPlace(child.stderr);
}

/** Parses each file as a module and dies of the first error with the message looked for. Evaluates nothing. */
const parseAll = `
const { readFileSync } = require('node:fs');
const { stripTypeScriptTypes } = require('node:module');
const { SourceTextModule } = require('node:vm');
const [message, ...files] = process.argv.slice(1);
for (const identifier of files) {
  const source = readFileSync(identifier, 'utf8');
  try {
    new SourceTextModule(identifier.endsWith('ts') ? stripTypeScriptTypes(source) : source, { identifier });
  } catch (error) {
    if (error.message === message) throw error;
  }
}`;

function importGraph(entry: string): string[] {
  const files = new Set([entry]);
  // A set may grow while it is walked; what is added is visited.
  for (const file of files) {
    for (const [, specifier] of readFileSync(file, 'utf8').matchAll(
      /\b(?:from|import)\s*\(?\s*["'](\.{1,2}\/[^"'\n]+)["']/g,
    )) {
      const target = resolve(dirname(file), specifier!);
      if (files.size < filesMax && /^\.m?[jt]s$/.test(extname(target)) && existsSync(target)) files.add(target);
    }
  }
  return [...files];
}
