/** Holds docs/security.md against the tests that it names: no row without one, and none that is not there. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const list = readFileSync(join(root, 'docs/security.md'), 'utf8');

function textOf(path: string): string | undefined {
  return existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : undefined;
}

interface Row {
  readonly item: string;
  readonly cells: readonly string[];
}

/** Rows of all tables with these four columns. */
function rowsOf(text: string): Row[] {
  return [...text.matchAll(/^\| ([A-Z]?\d[\d.]*) \|(.*)\|$/gm)].map(([, item = '', rest = '']) => ({
    item,
    cells: rest.split(' | ').map((cell) => cell.trim()),
  }));
}

/** One sentence for each thing that is wrong. */
function problemsOf(text: string, read: (path: string) => string | undefined): string[] {
  return rowsOf(text).flatMap(({ item, cells }) => {
    if (cells.length !== 3 || cells.some((cell) => cell === '')) return [`${item} has not four columns`];
    return cells[2]!.split('<br>').flatMap((reference) => {
      const [, path, title] = /^`(test\/[\w/.-]+\.test\.ts)`: “(.+)”$/.exec(reference.trim()) ?? [];
      if (path === undefined || title === undefined) return [`${item} names no test: ${reference}`];
      const tests = read(path);
      if (tests === undefined) return [`${item} names ${path}, which does not exist`];
      return hasTest(tests, title) ? [] : [`${item} names “${title}”, which is no test of ${path}`];
    });
  });
}

/** Is it the first argument of a call: of `it`, `test`, or what their `each` gives; or of a row of such a table? */
function hasTest(tests: string, title: string): boolean {
  const quoted = title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`[([]\\s*(['"\`])${quoted}\\1\\s*,`).test(tests);
}

describe('the security list', () => {
  it('names a test for each row, and every one of them is there', () => {
    expect(problemsOf(list, textOf)).toEqual([]);
  });

  it('has every item', () => {
    const numbers = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, n) => first + n);
    expect(rowsOf(list).map(({ item }) => item)).toEqual([
      ...numbers(1, 25).map((n) => `W${n}`),
      ...numbers(1, 12).map((n) => `3.${n}`),
      ...numbers(1, 32).map((n) => `S${n}`),
    ]);
  });

  it('is found out when a row is wrong', () => {
    const read = (path: string) => (path === 'test/a.test.ts' ? "it('is there', () => {}); // 'is gone'," : undefined);
    const row = (held: string) => `| S1 | what | how | ${held} |`;
    const problems = (held: string) => problemsOf(row(held), read);
    expect(problems('`test/a.test.ts`: “is there”')).toEqual([]);
    expect(problems('by nobody')).toEqual(['S1 names no test: by nobody']);
    expect(problems('`test/b.test.ts`: “is there”')).toEqual(['S1 names test/b.test.ts, which does not exist']);
    expect(problems('`test/a.test.ts`: “is there”<br>`test/a.test.ts`: “is gone”')).toEqual([
      'S1 names “is gone”, which is no test of test/a.test.ts',
    ]);
    expect(problemsOf('| S1 | what | `test/a.test.ts`: “is there” |', read)).toEqual(['S1 has not four columns']);
  });
});
