/** Directories: created for their owner alone, and synced. */
import { closeSync, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * Creates a directory and whatever parents it lacks, 0700. One level at a time, because Node's own recursive mkdir never
 * returns below places such as /proc, where a directory can neither be found nor made.
 * @returns the topmost directory that was created, undefined when all were there @throws Error when one cannot be created
 */
export function createDirectory(path: string): string | undefined {
  const directory = resolve(path);
  const found = statSync(directory, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) return undefined;
  if (found !== undefined) {
    throw Object.assign(new Error(`ENOTDIR: ${directory} is no directory`), { code: 'ENOTDIR' });
  }
  const parent = dirname(directory);
  const created = parent === directory ? undefined : createDirectory(parent);
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    // Somebody else was faster.
    if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) throw error;
  }
  return created ?? directory;
}

/** The names in it are on disk when it returns. */
export function fsyncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
