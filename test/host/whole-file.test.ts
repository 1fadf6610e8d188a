import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { writeWhole } from '../../src/host/whole-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'fermata-whole-file-'));
const path = join(folder, 'note');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('replaces a file, is for its owner only, and leaves nothing else', () => {
  writeWhole(path, 'one\n');
  writeWhole(path, 'two\n', `${path}.aside`);
  expect(readFileSync(path, 'utf8')).toBe('two\n');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(['note']);
});

it('leaves the former file alone when it cannot be written', () => {
  expect(() => writeWhole(path, 'three\n', join(folder, 'missing/aside'))).toThrow('ENOENT');
  expect(readFileSync(path, 'utf8')).toBe('two\n');
});
