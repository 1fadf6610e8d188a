/** What comes in from others: the lock file says exactly which, and the bill of materials tells it on. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openDatabase, createDatabase } from '../../src/storage/sqlite.ts';
import { root } from '../support/server.ts';
import { temporaryDirectory } from '../storage/fixtures.ts';

interface Locked {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly cpu?: readonly string[];
}

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly scripts: Readonly<Record<string, string>>;
}

const read = (path: string): unknown => JSON.parse(readFileSync(join(root, path), 'utf8'));
const manifest = read('package.json') as Manifest;
const { packages, lockfileVersion } = read('package-lock.json') as {
  packages: Record<string, Locked>;
  lockfileVersion: number;
};
const ours = new Set(['', 'test/support/react-18', 'node_modules/react-18']);
const foreign = Object.entries(packages).filter(([path]) => !ours.has(path));

test('every package in the lock file has the digest of its content', () => {
  expect(lockfileVersion).toBe(3);
  expect(foreign.length).toBeGreaterThan(100);
  const without = foreign.filter(([, { integrity }]) => !/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity ?? ''));
  // Binaries of development tools for other machines; npm notes the digest only of what it has fetched.
  const excused = without.filter(
    ([, { dev, optional, cpu }]) => dev === true && optional === true && cpu !== undefined,
  );
  expect(without.map(([path]) => path)).toEqual(excused.map(([path]) => path));
});

test('no package comes from anywhere but the public registry, and none by a tag or a branch', () => {
  // Without an address of its own a package is asked of the registry that npm knows, and its digest must fit.
  const elsewhere = foreign.filter(([, { resolved }]) => resolved !== undefined);
  expect(elsewhere).toEqual([]);
  for (const [name, range] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }))
    expect([name, range]).toEqual([
      name,
      expect.stringMatching(/^((npm:[^@]+@)?\d+\.\d+\.\d+|file:test\/support\/.+)$/),
    ]);
});

test('the audit asks about what production needs, apart from the tests', () => {
  expect(manifest.scripts['audit']).toBe('npm audit --omit=dev');
  for (const name of ['test', 'check', 'build']) expect(manifest.scripts[name]).not.toContain('audit');
});

test('the bill of materials names every package that production needs, with its digest', () => {
  const text = execFileSync('npm', ['run', '--silent', 'sbom'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const bill = JSON.parse(text) as {
    bomFormat: string;
    metadata: { component: { version: string } };
    components: { name: string; version: string; hashes?: { alg: string; content: string }[] }[];
  };
  expect(bill.bomFormat).toBe('CycloneDX');
  const named = new Map(bill.components.map((component) => [component.name, component]));
  for (const [name, range] of Object.entries(manifest.dependencies)) {
    expect([name, named.get(name)?.version]).toEqual([name, range.replace(/^npm:.*@/, '')]);
  }
  for (const name of Object.keys(manifest.devDependencies)) expect(named.has(name)).toBe(false);
  for (const { name, hashes } of bill.components) expect([name, hashes?.[0]?.alg]).toEqual([name, 'SHA-512']);
});

test('the SQLite inside is one that has no known loss of commits', () => {
  const path = join(temporaryDirectory(), 'a.db');
  createDatabase(path, () => undefined);
  const db = openDatabase(path);
  const version = db.prepare('SELECT sqlite_version()').pluck().get() as string;
  db.close();
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  expect(major * 1e6 + minor * 1e3 + patch).toBeGreaterThanOrEqual(3_051_003);
});
