/**
 * A directory as the place of backups: `<path>/<tenant>/base|log/<file>`.
 *
 *     put, first append   temporary file beside it ─▶ fsync ─▶ rename ─▶ fsync of the folder
 *     later append        cut off what differs from `offset` on ─▶ write ─▶ fsync
 *
 * Invariants: no object has its name before it is whole and on disk, whenever the process ends · what a failed write began
 * is taken away again; what a killed one began is removed by the next put (left-overs.ts) · only legal names become paths,
 * and below the directory no link is followed · directories are 0700, files 0600. The directory itself is created when it
 * is first written to, and may be a link. No call blocks its thread for longer than that takes.
 */
import { constants, type Dirent } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { isTenant } from '../protocol/address.ts';
import { makeDirectory } from '../storage/paths.ts';
import { MissingBackupError } from './errors.ts';
import { removeLeftOvers, temporaryName } from './left-overs.ts';
import { isObjectName } from './names.ts';
import type { BackupObject, BackupTarget } from './target.ts';

export function directoryTarget(path: string): BackupTarget {
  return new DirectoryTarget(resolve(path));
}

const copyBytes = 1 << 20;
const kinds = ['base', 'log'] as const;
/** Not blocking, because a pipe that somebody put there has no other end. */
const unfollowed = constants.O_NOFOLLOW | constants.O_NONBLOCK;

class DirectoryTarget implements BackupTarget {
  readonly name: string;

  constructor(path: string) {
    this.name = path;
  }

  async put(name: string, path: string): Promise<void> {
    await this.#replace(name, async (to) => {
      const from = await open(path, 'r');
      try {
        await copy(from, to);
      } finally {
        await from.close();
      }
    });
  }

  async putText(name: string, text: string): Promise<void> {
    await this.#replace(name, (to) => to.writeFile(text));
  }

  async append(name: string, offset: number, bytes: Buffer): Promise<void> {
    const path = await this.#pathOf(name);
    const file = await this.#open(name, path, constants.O_RDWR);
    if (file === undefined && offset === 0) return await this.#replace(name, (to) => to.writeFile(bytes));
    try {
      const length = (await file?.stat())?.size ?? 0;
      if (file === undefined || length < offset) {
        throw new Error(`${name} in ${this.name} has ${length} bytes: nothing can be added at ${offset}`);
      }
      const isThere = await holds(file, offset, bytes);
      if (!isThere && offset === 0) return await this.#replace(name, (to) => to.writeFile(bytes));
      // Also when it is there already: an fsync that failed leaves pages that no later fsync writes.
      await this.#rewrite(name, file, offset, bytes, !isThere);
      if (offset === 0) await fsyncDirectory(dirname(path));
    } finally {
      await file?.close();
    }
  }

  async get(name: string, path: string): Promise<void> {
    const from = await this.#openExisting(name);
    try {
      const to = await open(path, 'wx', 0o600);
      try {
        await copy(from, to);
        await to.sync();
      } catch (error) {
        await rm(path, { force: true });
        throw error;
      } finally {
        await to.close();
      }
    } finally {
      await from.close();
    }
  }

  async read(name: string): Promise<Buffer> {
    const file = await this.#openExisting(name);
    try {
      return await file.readFile();
    } finally {
      await file.close();
    }
  }

  async list(prefix: string): Promise<readonly BackupObject[]> {
    const [tenant = '', ...more] = prefix.split('/');
    const found = more.length > 0 ? [tenant] : await directories(this.name);
    const folders = found.filter(isTenant).flatMap((each) => kinds.map((kind) => `${each}/${kind}/`));
    const objects: BackupObject[] = [];
    for (const folder of folders) {
      if (!folder.startsWith(prefix) && !prefix.startsWith(folder)) continue;
      // A link among its parents: nothing below it is ours.
      if ((await this.#obstacle(folder)) !== undefined) continue;
      const names = (await entries(join(this.name, folder))).map((file) => `${folder}${file.name}`);
      objects.push(...(await this.#look(names.filter((name) => name.startsWith(prefix) && isObjectName(name)))));
    }
    return objects.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  async remove(name: string): Promise<void> {
    const path = await this.#pathOf(name);
    try {
      await unlink(path);
      await fsyncDirectory(dirname(path));
    } catch (error) {
      if (!isMissing(error)) throw this.#failure(name, 'removed', error);
    }
  }

  /** `fill` writes the new object, from its beginning. */
  async #replace(name: string, fill: (to: FileHandle) => Promise<void>): Promise<void> {
    const path = await this.#pathOf(name);
    const folder = dirname(path);
    const temporary = temporaryName(path);
    try {
      await this.#makeFolder(folder);
      await removeLeftOvers(folder);
      const file = await open(temporary, 'wx', 0o600);
      try {
        await fill(file);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
      await fsyncDirectory(folder);
    } catch (error) {
      // What cannot be removed now is a left-over later; the first error is the one to tell.
      await rm(temporary, { force: true }).catch(() => undefined);
      throw this.#failure(name, 'written', error);
    }
  }

  async #rewrite(name: string, file: FileHandle, offset: number, bytes: Buffer, isOther: boolean): Promise<void> {
    try {
      if (isOther) await file.truncate(offset);
      for (let at = 0; at < bytes.length; ) {
        at += (await file.write(bytes, at, bytes.length - at, offset + at)).bytesWritten;
      }
      await file.sync();
    } catch (error) {
      if (isOther) await file.truncate(offset).catch(() => undefined);
      throw this.#failure(name, 'added to', error);
    }
  }

  async #openExisting(name: string): Promise<FileHandle> {
    const file = await this.#open(name, await this.#pathOf(name), constants.O_RDONLY);
    if (file === undefined) throw new MissingBackupError(`${name} is not in ${this.name}`);
    return file;
  }

  /** Undefined when there is no such object. */
  async #open(name: string, path: string, flags: number): Promise<FileHandle | undefined> {
    try {
      const file = await open(path, flags | unfollowed);
      if ((await file.stat()).isFile()) return file;
      await file.close();
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw this.#failure(name, 'opened', error);
    }
    throw new Error(`${path} must be a file`);
  }

  async #look(names: readonly string[]): Promise<BackupObject[]> {
    const looks = names.map(async (name) => {
      const stats = await lstat(join(this.name, name)).catch(missing);
      return stats?.isFile() === true ? [{ name, bytes: stats.size }] : [];
    });
    return (await Promise.all(looks)).flat();
  }

  /** @throws Error when it would lie outside, or behind a link */
  async #pathOf(name: string): Promise<string> {
    if (!isObjectName(name))
      throw new Error(`${JSON.stringify(name)} is not the name of a backup or of a part of a log`);
    const obstacle = await this.#obstacle(dirname(name));
    if (obstacle !== undefined) throw new Error(`${obstacle} must be a directory; links are not followed here`);
    return join(this.name, name);
  }

  /** What lies where one of the two directories above an object belongs and is none. */
  async #obstacle(folder: string): Promise<string | undefined> {
    const path = resolve(this.name, folder);
    for (const each of [dirname(path), path]) {
      const stats = await lstat(each).catch(missing);
      if (stats === undefined) return undefined;
      if (!stats.isDirectory()) return each;
    }
    return undefined;
  }

  async #makeFolder(folder: string): Promise<void> {
    if ((await lstat(folder).catch(missing)) !== undefined) return;
    makeDirectory(this.name);
    for (const each of [dirname(folder), folder]) {
      await mkdir(each, { mode: 0o700 }).catch(unlessThere);
      await fsyncDirectory(dirname(each));
    }
  }

  #failure(name: string, what: string, cause: unknown): Error {
    const { message, code } = cause as NodeJS.ErrnoException;
    const error = new Error(`${name} in ${this.name} cannot be ${what}: ${message}`, { cause });
    return code === undefined ? error : Object.assign(error, { code });
  }
}

async function copy(from: FileHandle, to: FileHandle): Promise<void> {
  const buffer = Buffer.allocUnsafe(copyBytes);
  for (;;) {
    const { bytesRead } = await from.read(buffer, 0, buffer.length, null);
    if (bytesRead === 0) return;
    await to.writeFile(buffer.subarray(0, bytesRead));
  }
}

async function holds(file: FileHandle, offset: number, bytes: Buffer): Promise<boolean> {
  const there = Buffer.alloc(bytes.length);
  let at = 0;
  while (at < there.length) {
    const { bytesRead } = await file.read(there, at, there.length - at, offset + at);
    if (bytesRead === 0) return false;
    at += bytesRead;
  }
  return there.equals(bytes);
}

async function fsyncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function directories(path: string): Promise<string[]> {
  return (await entries(path)).filter((each) => each.isDirectory()).map(({ name }) => name);
}

async function entries(path: string): Promise<Dirent[]> {
  return (await readdir(path, { withFileTypes: true }).catch(missing)) ?? [];
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

function missing(error: unknown): undefined {
  if (!isMissing(error)) throw error;
}

function unlessThere(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
}
