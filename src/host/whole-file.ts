/** Small files that are whole or not there, whenever the process or the machine dies. */
import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { fsyncDirectory } from './directory.ts';

/**
 * Writes the file, 0600, in place of one that may be there; on disk when it returns. Until it is whole it lies at `aside`,
 * of which two processes that may write the same file need one each. @throws Error of node:fs
 */
export function writeWhole(path: string, text: string, aside = `${path}.new`): void {
  const file = openSync(aside, 'w', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(aside, path);
  fsyncDirectory(dirname(path));
}
