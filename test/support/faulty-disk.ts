/**
 * A disk that misbehaves on demand, from the test's side: compiles faulty-disk.c, gives the environment that puts it under a
 * server, and tells it what to do through a small file that both have in memory.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { needs } from './needs.ts';

const source = fileURLToPath(new URL('./faulty-disk.c', import.meta.url));
const bytes = 128;
const matchAt = 32;
const matchBytesMax = 95;
const hitsAt = 24;

export const errnos = { EIO: 5, ENOSPC: 28 } as const;

export interface DiskFault {
  /** Part of the path of the files that it strikes; all by default. */
  readonly match?: string;
  readonly sync?: { readonly error: keyof typeof errnos; readonly times: number };
  readonly write?: { readonly error: keyof typeof errnos; readonly times: number };
  readonly slowSync?: { readonly ms: number; readonly times: number };
}

/** As `times`: until `heal`. */
export const forever = -1;

export class FaultyDisk {
  readonly env: Readonly<Record<string, string>>;
  readonly #file: number;

  /** Compiles into the directory, which its owner removes. */
  constructor(directory: string) {
    const library = join(directory, 'faulty-disk.so');
    const control = join(directory, 'faulty-disk');
    execFileSync(needs('gcc'), ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl']);
    this.#file = openSync(control, 'w+');
    writeSync(this.#file, Buffer.alloc(bytes), 0, bytes, 0);
    this.env = { LD_PRELOAD: library, FAULTY_DISK: control };
  }

  /** Calls that were refused or delayed since the last `strike`. */
  get hits(): number {
    const word = Buffer.alloc(4);
    readSync(this.#file, word, 0, 4, hitsAt);
    return word.readInt32LE();
  }

  strike({ match = '', sync, write, slowSync }: DiskFault): void {
    this.heal();
    const all = Buffer.alloc(bytes);
    if (Buffer.byteLength(match) > matchBytesMax) throw new Error(`"${match}" is too long to match files by`);
    all.write(match, matchAt);
    const words = [
      sync === undefined ? 0 : errnos[sync.error],
      sync?.times ?? 0,
      write === undefined ? 0 : errnos[write.error],
      write?.times ?? 0,
      slowSync?.ms ?? 0,
      slowSync?.times ?? 0,
    ];
    for (const [at, word] of words.entries()) all.writeInt32LE(word, at * 4);
    // How often comes last: the server looks at the counts first, and counts a hit at once.
    writeSync(this.#file, all, hitsAt, bytes - hitsAt, hitsAt);
    writeSync(this.#file, all, 0, hitsAt, 0);
  }

  heal(): void {
    writeSync(this.#file, Buffer.alloc(hitsAt), 0, hitsAt, 0);
  }

  close(): void {
    closeSync(this.#file);
  }
}
