import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { directoryTarget } from '../../src/backup/directory-target.ts';
import { temporaryName } from '../../src/backup/left-overs.ts';
import { baseName } from '../../src/backup/names.ts';
import type { BackupTarget } from '../../src/backup/target.ts';
import { temporaryDirectory } from '../storage/fixtures.ts';

const copy = `${baseName('acme', 1)}.db`;
const manifest = `${baseName('acme', 1)}.json`;

let folder: string;
let target: BackupTarget;
beforeEach(() => {
  const place = temporaryDirectory();
  target = directoryTarget(place);
  folder = join(place, 'acme/base');
});

describe('a left-over is removed', () => {
  const own = process.pid;
  const hourMs = 3_600_000;

  it.each([
    ['of a process that is gone', gonePid(), 0, true],
    ['of a process that runs', process.ppid, 0, false],
    ['of a process that runs, when nobody has written to it for long', process.ppid, 2 * hourMs, true],
    ['of another thread of this process', own, 0, false],
    ['of a former process that had our number', own, process.uptime() * 1000 + 60_000, true],
  ])('%s', async (_what, pid, ageMs, isRemoved) => {
    await target.putText(copy, 'x');
    const leftOver = join(folder, basename(temporaryName(copy)).replace(`.${own}-`, `.${pid}-`));
    writeFileSync(leftOver, 'half');
    const writtenAt = new Date(Date.now() - ageMs);
    utimesSync(leftOver, writtenAt, writtenAt);
    await target.putText(manifest, '{}');
    expect(existsSync(leftOver)).toBe(!isRemoved);
    expect(await target.list('')).toHaveLength(2);
  });

  it('only when it is one: whatever else lies there stays', async () => {
    mkdirSync(folder, { recursive: true });
    const others = ['notes.partial', `${basename(copy)}.partial`, `x.${gonePid()}-12.partial`, 'y.db.tmp'];
    for (const other of others) writeFileSync(join(folder, other), 'x');
    await target.putText(copy, 'x');
    expect(readdirSync(folder).toSorted()).toEqual([basename(copy), ...others].toSorted());
  });
});

/** The number of a process that has ended just now. */
function gonePid(): number {
  return Number(execFileSync('sh', ['-c', 'echo $$'], { encoding: 'utf8' }));
}
