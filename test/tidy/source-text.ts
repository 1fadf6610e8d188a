/**
 * Just enough of a TypeScript reader for the checks: it blanks comments (and on request the insides of strings) without
 * moving any line, and finds what a file imports. Where a slash may begin a regular expression it looks at the
 * character before, which is right for code that a formatter has been over.
 */

export interface SourceFile {
  /** From the repository's root, with slashes. */
  readonly path: string;
  readonly text: string;
}

export interface ImportedModule {
  readonly module: string;
  readonly kind: 'value' | 'type' | 'dynamic';
  readonly line: number;
}

/** The code without comments; with `strings: 'blank'` also without what stands in quotes. */
export function codeOf(text: string, options: { strings: 'keep' | 'blank' }): string {
  let code = '';
  let last = '';
  for (let at = 0; at < text.length; ) {
    const end = endOfPiece(text, at, last);
    const piece = text.slice(at, end.at);
    if (end.kind === 'comment') code += blank(piece);
    else if (end.kind === 'quoted' && options.strings === 'blank')
      code += piece[0] + blank(piece.slice(1, -1)) + piece.at(-1);
    else code += piece;
    if (end.kind !== 'comment' && piece.trim() !== '') last = piece;
    at = end.at;
  }
  return code;
}

/** Only the comments, each where it stands. */
export function commentsOf(text: string): string {
  const code = codeOf(text, { strings: 'keep' });
  return text.replace(/[^\n]/g, (character, index: number) => (code[index] === character ? ' ' : character));
}

/** Where the piece that begins at `at` ends: a comment, something quoted, a word, or one character. */
function endOfPiece(text: string, at: number, last: string): { at: number; kind: 'comment' | 'quoted' | 'code' } {
  const two = text.slice(at, at + 2);
  const one = text[at]!;
  if (two === '//') return { at: orEnd(text, text.indexOf('\n', at)), kind: 'comment' };
  if (two === '/*') return { at: orEnd(text, text.indexOf('*/', at + 2), 2), kind: 'comment' };
  if (one === "'" || one === '"' || one === '`') return { at: endOfQuote(text, at), kind: 'quoted' };
  if (one === '/' && (last === '' || /[(,=:[!&|?{};+>]$/.test(last) || last === 'return'))
    return { at: endOfRegex(text, at), kind: 'quoted' };
  const word = /^[\w$]+/.exec(text.slice(at, at + 200))?.[0];
  return { at: at + (word ?? one).length, kind: 'code' };
}

function endOfQuote(text: string, start: number): number {
  const quote = text[start];
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === quote) return at + 1;
    else if (quote === '`' && text.startsWith('${', at)) at = endOfHole(text, at + 2) - 1;
  }
  return text.length;
}

/** Behind the brace that closes a `${`. */
function endOfHole(text: string, start: number): number {
  let depth = 1;
  for (let at = start; at < text.length; at++) {
    if (text[at] === "'" || text[at] === '"' || text[at] === '`') at = endOfQuote(text, at) - 1;
    else if (text[at] === '{') depth++;
    else if (text[at] === '}' && --depth === 0) return at + 1;
  }
  return text.length;
}

function endOfRegex(text: string, start: number): number {
  let inClass = false;
  for (let at = start + 1; at < text.length && text[at] !== '\n'; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '[') inClass = true;
    else if (text[at] === ']') inClass = false;
    else if (text[at] === '/' && !inClass) return at + 1;
  }
  return start + 1;
}

function blank(text: string): string {
  return text.replace(/[^\n]/g, ' ');
}

function orEnd(text: string, found: number, width = 0): number {
  return found === -1 ? text.length : found + width;
}

const statement = /\b(?:import|export)\s+(type\s+)?(?:[\w$*{][\w$*{},\s]*?\s*from\s*)?(['"])([^'"\n]+)\2/g;
const dynamic = /\b(?:import|require(?:\.resolve)?)\s*\(\s*(['"`])([^'"`\n]+)\1/g;

/** Everything a file imports or re-exports, in any form. */
export function importsOf(text: string): ImportedModule[] {
  const code = codeOf(text, { strings: 'keep' });
  const lineAt = (index: number) => code.slice(0, index).split('\n').length;
  const found: ImportedModule[] = [];
  for (const match of code.matchAll(statement)) {
    found.push({ module: match[3]!, kind: match[1] === undefined ? 'value' : 'type', line: lineAt(match.index) });
  }
  for (const match of code.matchAll(dynamic))
    found.push({ module: match[2]!, kind: 'dynamic', line: lineAt(match.index) });
  return found;
}
