/** One damage to one file of a data directory: a flipped bit, or its end cut off, at a place that chance chooses. */
import { existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SeededRandom } from '../seeded-random.ts';

export type Where = 'journal' | 'tenant';
export type How = 'flip' | 'cut';

export interface Damage {
  readonly where: Where;
  readonly how: How;
  /** Below the data directory. */
  readonly file: string;
  /** For people: byte, bit, length, and the frame when it is a WAL. */
  readonly text: string;
}

const walHeaderBytes = 32;
const walFrameBytes = 24 + 4096;

/** A main file as often as a WAL, where there are both; never the -shm, which SQLite makes anew. */
export function damageFile(dataDir: string, where: Where, how: How, random: SeededRandom): Damage {
  const files = filesOf(dataDir, where).filter((file) => statSync(join(dataDir, file)).size > 0);
  const wals = files.filter((file) => file.endsWith('-wal'));
  const mains = files.filter((file) => !file.endsWith('-wal'));
  const file = random.pick(wals.length > 0 && random.next() < 0.5 ? wals : mains);
  const path = join(dataDir, file);
  const { size } = statSync(path);
  const at = random.below(size);
  const frame = Math.floor((at - walHeaderBytes) / walFrameBytes) + 1;
  const frames = Math.floor((size - walHeaderBytes) / walFrameBytes);
  const near = file.endsWith('-wal') ? `, ${at < walHeaderBytes ? 'header' : `frame ${frame} of ${frames}`}` : '';
  if (how === 'cut') {
    truncateSync(path, at);
    return { where, how, file, text: `${file} cut from ${size} to ${at} bytes${near}` };
  }
  const bit = random.below(8);
  const bytes = readFileSync(path);
  bytes[at]! ^= 1 << bit;
  writeFileSync(path, bytes);
  return { where, how, file, text: `${file} with bit ${bit} of byte ${at} of ${size} flipped${near}` };
}

function filesOf(dataDir: string, where: Where): string[] {
  if (where === 'journal') {
    return readdirSync(join(dataDir, 'journal'))
      .filter((name) => /^\d+\.db(-wal)?$/.test(name))
      .sort()
      .map((name) => `journal/${name}`);
  }
  return readdirSync(join(dataDir, 'tenants'))
    .sort()
    .flatMap((tenant) => [`tenants/${tenant}/tenant.db`, `tenants/${tenant}/tenant.db-wal`])
    .filter((file) => existsSync(join(dataDir, file)));
}
