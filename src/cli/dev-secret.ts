/**
 * The development secret: `$DATA_DIR/dev-secret`, readable by its owner only. `serve --dev` verifies with it and `token`
 * signs with it, so that both agree without any set-up. Nothing but development ever reads it.
 *
 * Whoever comes first makes it. It is written aside and linked into place, so that two processes starting at once end up
 * with one secret and nobody reads half of it.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createDirectory } from '../host/directory.ts';
import { CommandError } from './command-error.ts';
import { exitCodes } from './exit-codes.ts';

const secretBytesMin = 32;

/** @throws CommandError when the folder or file cannot be used */
export function readOrCreateDevSecret(dataDir: string): string {
  const path = join(dataDir, 'dev-secret');
  try {
    const secret = readExisting(path) ?? create(dataDir, path);
    if (Buffer.byteLength(secret) >= secretBytesMin) return secret;
  } catch (error) {
    throw new CommandError(
      `the development secret ${path} cannot be read or made: ${error instanceof Error ? error.message : String(error)}`,
      {
        exitCode: exitCodes.dataDirUnavailable,
        hint: 'Check who owns the data directory, or choose another with --data-dir.',
        cause: error,
      },
    );
  }
  throw new CommandError(`the development secret ${path} is shorter than ${secretBytesMin} bytes`, {
    exitCode: exitCodes.config,
    hint: 'Delete the file; a new one is made at the next start.',
  });
}

function readExisting(path: string): string | undefined {
  try {
    const secret = readFileSync(path, 'utf8').trim();
    // A copy or an unpacked archive may have opened it to others.
    chmodSync(path, 0o600);
    return secret;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function create(dataDir: string, path: string): string {
  createDirectory(dataDir);
  const aside = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const secret = randomBytes(48).toString('base64url');
  writeFileSync(aside, `${secret}\n`, { mode: 0o600, flag: 'wx' });
  try {
    linkSync(aside, path);
    return secret;
  } catch (error) {
    const theirs = readExisting(path);
    if (theirs === undefined) throw error;
    return theirs;
  } finally {
    rmSync(aside, { force: true });
  }
}
