/**
 * The node's id: sixteen letters and digits in the data directory, made once. It goes where the data goes: a node that moves
 * to another machine with its volume is the same node, and the slots whose data lies there stay its own.
 *
 * Called by whoever holds the data directory's lock. The file gets its name when it is whole and synced, so that no crash
 * leaves half an id; one that cannot be read is never replaced, because a new id would be a stranger to the node's slots.
 */
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeWhole } from '../host/whole-file.ts';

const fileName = 'node-id';
const idChars = 16;
const nodeIdPattern = /^[a-z0-9]{16}$/;

/** @throws Error of one line that names the file and what to do */
export function nodeIdOf(dataDir: string): string {
  const path = join(dataDir, fileName);
  const text = textOf(path);
  if (text === undefined) return makeId(path);
  const id = text.replace(/\n$/, '');
  if (nodeIdPattern.test(id)) return id;
  throw new Error(
    `${path} is damaged: it must hold ${idChars} letters and digits; write back the id that \`fermata status\` lists for this node, or delete the file to join as a new node that owns no slot`,
  );
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Error(`${path} cannot be read (${(error as Error).message}): give this user the rights to it`, {
      cause: error,
    });
  }
}

function makeId(path: string): string {
  const id = Array.from({ length: idChars }, () => randomInt(36).toString(36)).join('');
  writeWhole(path, `${id}\n`);
  return id;
}
