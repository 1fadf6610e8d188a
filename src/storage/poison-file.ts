/**
 * `quarantine/calls.json`: the calls that are not run any more, because each ended its shard several times.
 *
 * Main writes it, `fermata quarantine` releases from it, also while a server runs; so every write is a whole new file
 * renamed into place, and the reader of a running server looks at it again when it changes.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeWhole } from '../host/whole-file.ts';
import { makeDirectory } from './paths.ts';

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
  makeDirectory(dirname(path));
  // Named by process: a server and the command may write at the same moment, and neither may tear the other's file.
  writeWhole(path, `${JSON.stringify(calls, undefined, 2)}\n`, `${path}.${process.pid}.new`);
}

function isPoisonCall(value: unknown): value is PoisonCall {
  return typeof value === 'object' && value !== null && typeof (value as PoisonCall).fingerprint === 'string';
}
