/** Loading a configuration from plain objects, for the tests of host/config*. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { ConfigError, loadConfig, type LoadedConfig, type LoadOptions } from '../../src/host/config-load.ts';

export const secret = 'a-secret-that-is-long-enough-for-hs256';

type Flags = Record<string, string | string[]>;

export function load(flags: Flags = {}, env: Record<string, string> = {}, options: LoadOptions = {}): LoadedConfig {
  return loadConfig(
    { flags: new Map(Object.entries(flags).map(([name, value]) => [name, [value].flat()])), env },
    options,
  );
}

/** The mistakes that loading finds; none when it succeeds. */
export function problems(
  flags: Flags = {},
  env: Record<string, string> = {},
  options: LoadOptions = {},
): readonly string[] {
  try {
    load(flags, env, options);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** Writes a file that lives as long as the test file. Answers with its path. */
export function file(name: string, content: string): string {
  folder ??= mkdtempSync(join(tmpdir(), 'fermata-config-'));
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

let folder: string | undefined;

afterAll(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true });
});
