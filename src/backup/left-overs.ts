/**
 * Temporary files beside the objects of a directory, and how those of a killed process are told from those that are being
 * written. Their names carry the number of their process. Numbers come again, above all in containers, where every server
 * is number 1; so what bears our own number and is older than we are is nobody's, and so is what nobody has written to for
 * long.
 */
import { randomBytes } from 'node:crypto';
import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Writers write all the time. */
const idleMsMax = 3_600_000;
const pattern = /\.(\d{1,10})-[0-9a-f]{12}\.partial$/;
/** Of the process, not of this thread. */
const startedMs = Date.now() - process.uptime() * 1000;

/** A new one each time, for the object at `path`. It is the name of no object. */
export function temporaryName(path: string): string {
  return `${path}.${process.pid}-${randomBytes(6).toString('hex')}.partial`;
}

export async function removeLeftOvers(folder: string): Promise<void> {
  for (const file of await readdir(folder)) {
    const pid = pattern.exec(file)?.[1];
    if (pid !== undefined && (await isLeftOver(join(folder, file), Number(pid)))) {
      await rm(join(folder, file), { force: true });
    }
  }
}

async function isLeftOver(path: string, pid: number): Promise<boolean> {
  // Gone meanwhile: it was being written, and has its name now.
  const mtimeMs = (await lstat(path).catch(() => undefined))?.mtimeMs ?? Number.POSITIVE_INFINITY;
  if (Date.now() - mtimeMs > idleMsMax) return true;
  return pid === process.pid ? mtimeMs < startedMs : !isAlive(pid);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It is there, and somebody else's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
