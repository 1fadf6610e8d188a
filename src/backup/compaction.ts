/**
 * Keeps a tenant's archived log small: segments that no kept base needs are removed, and those that nothing is added to any
 * more are compressed. The last one is left alone: the server may be adding to it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeManifest } from './manifest.ts';
import { segmentName, segmentNumber, segmentsOf, tenantOf } from './names.ts';
import { segmentsToDrop } from './retention.ts';
import { seal, unseal } from './seal.ts';
import { decodeSegment } from './segment.ts';
import type { BackupTarget } from './target.ts';

/** `oldestBase`: name of the oldest base that is kept, without its ending. @throws DamagedBackupError, what the target throws */
export async function compactLog(target: BackupTarget, tenant: string, oldestBase: string | undefined): Promise<void> {
  const names = (await target.list(segmentsOf(tenant))).map(({ name }) => name);
  const last = names.at(-1);
  const needed = oldestBase === undefined ? undefined : await logFromOf(target, oldestBase);
  const drop = new Set(segmentsToDrop(names.map(segmentNumber), needed));
  for (const name of names) {
    if (name === last) continue;
    if (drop.has(segmentNumber(name))) await target.remove(name);
    else if (name.endsWith('.log')) await compress(target, name);
  }
}

async function logFromOf(target: BackupTarget, base: string): Promise<number | undefined> {
  const name = `${base}.json`;
  return decodeManifest((await target.read(name)).toString('utf8'), name).logFrom;
}

/** The segment is removed once what replaces it was read back and says the same. */
async function compress(target: BackupTarget, name: string): Promise<void> {
  const bytes = await target.read(name);
  // What a killed process left of its last append is in the next segment, whole.
  const whole = bytes.subarray(0, bytes.lastIndexOf(lineFeed) + 1);
  // Not even its header is whole: there is nothing in it, and whoever reads the log passes over it.
  if (whole.length === 0) return;
  decodeSegment(whole, name);
  const sealedName = segmentName(tenantOf(name), segmentNumber(name), true);
  const directory = mkdtempSync(join(tmpdir(), 'fermata-segment-'));
  try {
    const path = join(directory, 'segment');
    await writeFile(path, seal(whole), { mode: 0o600 });
    await target.put(sealedName, path);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  if (unseal(await target.read(sealedName), sealedName).equals(whole)) await target.remove(name);
}

const lineFeed = 10;
