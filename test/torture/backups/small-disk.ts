/** A disk of a given size that can be filled, for whatever must bear that. Mounting it needs root, as the test command does. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const chunkBytes = 1024 * 1024;

export class SmallDisk {
  readonly path: string;

  constructor(path: string, sizeMb: number) {
    this.path = path;
    mkdirSync(path, { recursive: true });
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMb}m`, 'tmpfs', path], { stdio: 'pipe' });
    } catch (error) {
      throw new Error('a disk that can be full must be mounted, which needs root', { cause: error });
    }
  }

  /** Leaves so many bytes free. Others write there as well, so that it is filled until it stays so. */
  fill(bytesFree = 0): void {
    const file = openSync(this.#ballast, 'w');
    try {
      for (;;) {
        const { bavail, bsize } = statfsSync(this.path);
        const bytes = Math.min(chunkBytes, bavail * bsize - bytesFree);
        if (bytes <= 0) return;
        writeSync(file, Buffer.alloc(bytes));
      }
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
    } finally {
      closeSync(file);
    }
  }

  free(): void {
    rmSync(this.#ballast, { force: true });
  }

  unmount(): void {
    // Lazily: files of a run that failed may still be open.
    execFileSync('umount', ['--lazy', this.path]);
  }

  get #ballast(): string {
    return join(this.path, 'ballast');
  }
}
