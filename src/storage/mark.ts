/**
 * How many commits a SQLite file must hold, in a second place: `<file>-mark`, twelve bytes, a number and its CRC.
 *
 * SQLite takes a WAL for whole up to its first damaged frame, and says nothing of the rest; a file that lost its tail looks
 * like an older one. The mark is written after each synced commit, so that it is never ahead of an honest disk, and a file
 * that holds less has lost something. It is not synced itself: it outlives the process at once, and the machine soon. One
 * that is missing, damaged or cannot be written only ends the check: the file works without it.
 */
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { DamagedFileError } from './sqlite.ts';

const bytes = 12;
const crcAt = 8;

export class Mark {
  #fd: number | undefined;
  readonly #buffer = Buffer.alloc(bytes);

  /** Beside the file with this path. */
  constructor(path: string) {
    try {
      this.#fd = openSync(`${path}-mark`, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    } catch {
      // No rights, no descriptors, no room. Whoever uses the file itself will say so.
    }
  }

  /** 0 when it was never set, or fails its check. */
  read(): number {
    if (this.#fd === undefined || readSync(this.#fd, this.#buffer, 0, bytes, 0) < bytes) return 0;
    if (crc32(this.#buffer.subarray(0, crcAt)) !== this.#buffer.readUInt32LE(crcAt)) return 0;
    return Number(this.#buffer.readBigUInt64LE(0));
  }

  /** After the commit: it stands whatever becomes of the mark. */
  write(commits: number): void {
    if (this.#fd === undefined) return;
    this.#buffer.writeBigUInt64LE(BigInt(commits), 0);
    this.#buffer.writeUInt32LE(crc32(this.#buffer.subarray(0, crcAt)), crcAt);
    try {
      writeSync(this.#fd, this.#buffer, 0, bytes, 0);
    } catch {
      // A full or failing disk. An older mark sees less, and nothing wrong.
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

export function lostEnd(path: string, held: string, marked: string): DamagedFileError {
  return new DamagedFileError(
    `${path} ends with ${held}, but ${marked} was written: it has lost its end, or is an older copy beside the mark of a newer file`,
  );
}
