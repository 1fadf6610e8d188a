/**
 * A place beside the tenants in which a tenant is built before it takes its place: on the same file system, so that a
 * rename is all it takes. It goes when the work is done or has failed; of a process that was killed, at the next restore.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory } from '../storage/paths.ts';

/** Calls `use` with the path of a directory that does not exist yet, and removes that directory in the end. */
export async function withRestoreDirectory<T>(
  dataDir: string,
  tenant: string,
  use: (directory: string) => Promise<T>,
): Promise<T> {
  makeDirectory(dataDir);
  const root = realpathSync(dataDir);
  removeLeftOvers(root);
  const directory = join(root, `restore-${tenant}-${process.pid}-${randomBytes(4).toString('hex')}`);
  try {
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function removeLeftOvers(root: string): void {
  for (const name of readdirSync(root)) {
    const pid = /^restore-[a-z0-9][a-z0-9_-]{0,62}-(\d{1,10})-[0-9a-f]{8}$/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(root, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, as another user's.
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}
