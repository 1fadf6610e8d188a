import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { nodeIdOf } from '../../src/cluster/node-id.ts';
import { idPattern } from '../../src/transport/nats-names.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'fermata-node-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

test('an id is made once and found again', () => {
  const dataDir = folder();
  const id = nodeIdOf(dataDir);
  expect(id).toMatch(/^[a-z0-9]{16}$/);
  expect(id).toMatch(idPattern);
  expect(nodeIdOf(dataDir)).toBe(id);
  expect(readFileSync(join(dataDir, 'node-id'), 'utf8')).toBe(`${id}\n`);
  expect(readdirSync(dataDir)).toEqual(['node-id']);
  expect(nodeIdOf(folder())).not.toBe(id);
});

test('half an id, left by a crash before it got its name, is no id', () => {
  const dataDir = folder();
  writeFileSync(join(dataDir, 'node-id.new'), 'abc');
  expect(nodeIdOf(dataDir)).toMatch(/^[a-z0-9]{16}$/);
});

test.each(['', 'short', 'ABCDEFGHIJKLMNOP\n', 'abcdefgh.*.ijklm', 'abcdefghijklmnop\n\n'])(
  'a damaged file is never replaced: %j',
  (text) => {
    const dataDir = folder();
    const path = join(dataDir, 'node-id');
    writeFileSync(path, text);
    expect(() => nodeIdOf(dataDir)).toThrow(`${path} is damaged`);
    expect(readFileSync(path, 'utf8')).toBe(text);
  },
);

test('without a data directory it says so', () => {
  expect(() => nodeIdOf(join(folder(), 'gone'))).toThrow(/ENOENT/);
});
