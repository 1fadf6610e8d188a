/**
 * `$DATA_DIR/nats`: all that a managed nats-server has on disk. Made once, and the same at every start:
 *
 *   name         the server's name; the node's id where there is one, and never changed after that
 *   credentials  user and password, generated; 0600
 *   nats.conf    written at every start, holds the password; 0600
 *   nats.pid     written by nats-server itself
 *   jetstream/   its store
 *
 * Files are written aside and renamed into place, so that nobody reads half of one.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, readFileSync, realpathSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createDirectory } from '../host/directory.ts';
import { idPattern } from '../transport/nats-names.ts';
import { CommandError } from './command-error.ts';
import { exitCodes } from './exit-codes.ts';

export interface NatsFolder {
  readonly path: string;
  readonly configPath: string;
  readonly pidPath: string;
  /** A generated id. */
  readonly name: string;
  readonly user: string;
  readonly password: string;
}

/** Finds or makes it. @throws CommandError when it cannot be used */
export function openNatsFolder(dataDir: string): NatsFolder {
  const path = join(resolve(dataDir), 'nats');
  try {
    createDirectory(path);
    chmodSync(path, 0o700);
    // By one name only: a child of a former run is known by the path of its configuration.
    const real = realpathSync(path);
    const { user, password } = credentials(join(real, 'credentials'));
    const name = serverName(real, dataDir);
    return { path: real, configPath: join(real, 'nats.conf'), pidPath: join(real, 'nats.pid'), name, user, password };
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`${path} cannot be used: ${error instanceof Error ? error.message : String(error)}`, {
      exitCode: exitCodes.dataDirUnavailable,
      hint: 'Check free space and who owns the data directory.',
      cause: error,
    });
  }
}

/** Whole or not at all, for the owner's eyes only. */
export function writePrivately(path: string, text: string): void {
  const aside = `${path}.${process.pid}`;
  writeFileSync(aside, text, { mode: 0o600 });
  chmodSync(aside, 0o600);
  renameSync(aside, path);
}

function credentials(path: string): { user: string; password: string } {
  const found = readIfThere(path);
  if (found === undefined) {
    const made = { user: 'fermata', password: randomBytes(32).toString('base64url') };
    writePrivately(path, `${JSON.stringify(made)}\n`);
    return made;
  }
  // A copy or an unpacked archive may have opened it to others.
  chmodSync(path, 0o600);
  const [, user, password] = /^\{"user":"(\w{1,64})","password":"([\w-]{16,128})"\}\s*$/.exec(found) ?? [];
  if (user !== undefined && password !== undefined) return { user, password };
  throw new CommandError(`the credentials of nats-server in ${path} are damaged`, {
    exitCode: exitCodes.config,
    hint: 'Delete the file; new ones are made at the next start.',
  });
}

function serverName(folder: string, dataDir: string): string {
  const path = join(folder, 'name');
  const found = readIfThere(path)?.trim() ?? '';
  if (idPattern.test(found)) return found;
  const node = readIfThere(join(dataDir, 'node-id'))?.trim() ?? '';
  const name = idPattern.test(node) ? node : randomBytes(8).toString('hex');
  writePrivately(path, `${name}\n`);
  return name;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
