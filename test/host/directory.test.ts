import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { createDirectory } from '../../src/host/directory.ts';

const base = mkdtempSync(join(tmpdir(), 'fermata-directory-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));

it('creates what is missing, for its owner only, and says where it began', () => {
  expect(createDirectory(join(base, 'a/b/c'))).toBe(join(base, 'a'));
  expect(statSync(join(base, 'a/b/c')).mode & 0o777).toBe(0o700);
  expect(createDirectory(join(base, 'a/b/c'))).toBeUndefined();
});

it('refuses what cannot be created, and comes back', () => {
  writeFileSync(join(base, 'file'), '');
  expect(() => createDirectory(join(base, 'file/below'))).toThrow('ENOTDIR');
  expect(() => createDirectory('/proc/nope/data')).toThrow(/ENOENT/);
  expect(existsSync('/proc/nope')).toBe(false);
});
