/**
 * `quarantine/calls.json`: the calls that are not run any more, because each ended its shard several times.
 *
 * Main writes it, `fermata quarantine` releases from it, also while a server runs; so every write is a whole new file
 * renamed into place, and the reader of a running server looks at it again when it changes.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fsyncDirectory, makeDirectory } from './paths.ts';

export interface PoisonCall {
  /** Of tenant, actor, method, key and input. */
  readonly fingerprint: string;
  readonly tenant: string;
  readonly actor: string;
  readonly actorId: string;
  readonly method: string;
  readonly key: string;
  /** When it was closed off, ISO 8601. */
  readonly since: string;
}

export function poisonPath(dataDir: string): string {
  return join(dataDir, 'quarantine', 'calls.json');
}

/** An empty list when there is no file. @throws Error that names the file when it is damaged */
export function readPoison(dataDir: string): PoisonCall[] {
  const path = poisonPath(dataDir);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
  try {
    const list = JSON.parse(text) as unknown;
    if (Array.isArray(list) && list.every(isPoisonCall)) return list;
  } catch {
    // Told below, with the file's name.
  }
  throw new Error(`${path} is damaged: it must hold a JSON list of calls. Hint: delete it to release all of them`);
}

export function writePoison(dataDir: string, calls: readonly PoisonCall[]): void {
  const path = poisonPath(dataDir);
  const directory = join(dataDir, 'quarantine');
  makeDirectory(directory);
  // Named by process: a server and the command may write at the same moment, and neither may tear the other's file.
  const aside = `${path}.${process.pid}.new`;
  const file = openSync(aside, 'w', 0o600);
  try {
    writeSync(file, `${JSON.stringify(calls, undefined, 2)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(aside, path);
  fsyncDirectory(directory);
}

function isPoisonCall(value: unknown): value is PoisonCall {
  return typeof value === 'object' && value !== null && typeof (value as PoisonCall).fingerprint === 'string';
}
