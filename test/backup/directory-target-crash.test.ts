import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { directoryTarget } from '../../src/backup/directory-target.ts';
import { decodeSegment } from '../../src/backup/segment.ts';
import type { BackupTarget } from '../../src/backup/target.ts';
import { temporaryDirectory } from '../storage/fixtures.ts';
import { FaultyDisk, forever } from '../support/faulty-disk.ts';
import { eventually } from '../support/wait.ts';
import { busyBase as copy, busyBytes, busyHeader, busyLog as log, busyManifest as manifest } from './busy.ts';

let place: string;
let target: BackupTarget;
beforeEach(() => {
  place = temporaryDirectory();
  target = directoryTarget(join(place, 'backups'));
});

describe('a process that is killed', () => {
  it('in the middle of a put leaves the former object, and a left-over that the next put removes', async () => {
    await target.putText(copy, 'former');
    const pipe = join(place, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const child = start(['put', copy, pipe]);
    // It copies as much as it is given, and waits for more.
    const source = await open(pipe, 'w');
    onTestFinished(() => source.close());
    await source.write(Buffer.alloc(100_000, 'new'));
    const leftOver = await eventually('the copy has begun', () =>
      filesInBase().find(
        (file) => file.endsWith('.partial') && statSync(join(target.name, 'acme/base', file)).size > 0,
      ),
    );
    await kill(child);
    expect((await target.read(copy)).toString()).toBe('former');
    expect(await target.list('')).toEqual([{ name: copy, bytes: 6 }]);
    expect(filesInBase()).toContain(leftOver);
    await target.putText(manifest, '{}');
    expect(filesInBase()).toEqual([basename(copy), basename(manifest)]);
  });

  it('at any moment leaves whole objects, and a log that can be read', async () => {
    const source = join(place, 'source');
    writeFileSync(source, Buffer.alloc(busyBytes, 'c'));
    for (const rounds of [0, 1, 3, 8, 20]) {
      await target.remove(log);
      const child = start(['busy', '-', source]);
      for await (const line of createInterface(child.stdout!)) if (Number(line) === rounds) break;
      await kill(child);
      expect((await target.read(copy)).equals(Buffer.alloc(busyBytes, 'c'))).toBe(true);
      expect((await target.read(manifest)).toString()).toMatch(new RegExp(`^(\\d)\\1{${busyBytes - 1}}$`));
      const { header, records } = decodeSegment(await target.read(log), log);
      expect(header).toEqual(busyHeader);
      // What was acknowledged is there; the next one may be.
      expect(records.map(({ atMs }) => atMs).slice(0, rounds + 1)).toEqual(
        Array.from({ length: rounds + 1 }, (_, n) => n),
      );
    }
  });
});

describe('on a disk that cannot sync', () => {
  it('nothing settles before it is on disk: the file, then its folder', async () => {
    const disk = new FaultyDisk(place);
    onTestFinished(() => disk.close());
    writeFileSync(join(place, 'source'), 'new');
    await target.putText(copy, 'former');
    await target.append(log, 0, Buffer.from('one'));

    disk.strike({ match: 'backups/acme', slowSync: { ms: 1, times: forever } });
    expect(await said(start(['put', copy, join(place, 'source')], disk))).toBe('done');
    expect(disk.hits).toBe(2);
    disk.strike({ match: 'backups/acme', slowSync: { ms: 1, times: forever } });
    expect(await said(start(['append', log, '3', 'two'], disk))).toBe('done');
    expect(disk.hits).toBe(1);

    disk.strike({ match: 'backups/acme', sync: { error: 'EIO', times: forever } });
    await target.putText(copy, 'former');
    expect(await said(start(['put', copy, join(place, 'source')], disk))).toContain(
      `${copy} in ${target.name} cannot be written: EIO`,
    );
    expect((await target.read(copy)).toString()).toBe('former');
    expect(filesInBase()).toEqual([basename(copy)]);
    expect(await said(start(['append', log, '6', 'three'], disk))).toContain(
      `${log} in ${target.name} cannot be added to: EIO`,
    );
    expect((await target.read(log)).toString()).toBe('onetwo');
    // What a repetition finds there may be in memory only.
    expect(await said(start(['append', log, '3', 'two'], disk))).toContain('cannot be added to: EIO');
    expect(await said(start(['append', log, '0', 'one'], disk))).toContain('cannot be added to: EIO');
  });
});

function start(parameters: readonly string[], disk?: FaultyDisk): ChildProcess {
  const script = fileURLToPath(new URL('./target-child.ts', import.meta.url));
  const child = spawn(process.execPath, [script, target.name, ...parameters], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...disk?.env },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

async function said(child: ChildProcess): Promise<string> {
  let output = '';
  for await (const chunk of child.stdout!) output += String(chunk);
  return output.trim();
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

function filesInBase(): string[] {
  return readdirSync(join(target.name, 'acme/base')).toSorted();
}
