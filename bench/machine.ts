/** Where and of what a measurement was taken: without this no figure means anything. */
import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, mkdirSync, openSync, readFileSync, realpathSync, rmSync, writeSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';

const root = join(import.meta.dirname, '..');

export interface Machine {
  readonly date: string;
  readonly commit: string;
  /** Were there changes that the commit does not hold? */
  readonly dirty: boolean;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly sqlite: string;
  readonly uWebSockets: string;
  readonly fermata: string;
  /** Kind of the file system under the data, such as `ext4`. */
  readonly fileSystem: string;
  /** Median of writing 4 KiB and waiting until the disk has it. */
  readonly fsyncMs: number;
}

export function describeMachine(dataRoot: string): Machine {
  mkdirSync(dataRoot, { recursive: true });
  return {
    date: new Date().toISOString(),
    commit: git('rev-parse', '--short', 'HEAD'),
    dirty: git('status', '--porcelain') !== '',
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()}`,
    node: process.version,
    sqlite: sqliteVersion(),
    uWebSockets: versionOf('node_modules/uWebSockets.js/package.json'),
    fermata: versionOf('package.json'),
    fileSystem: fileSystemOf(dataRoot),
    fsyncMs: fsyncMs(dataRoot),
  };
}

/** File systems that keep nothing: what is fast on them says nothing about durability. */
export function keepsNothing(fileSystem: string): boolean {
  return fileSystem === 'tmpfs' || fileSystem === 'ramfs';
}

function git(...args: string[]): string {
  try {
    return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return 'unknown';
  }
}

function sqliteVersion(): string {
  const db = new Database(':memory:');
  try {
    return db.prepare('SELECT sqlite_version()').pluck().get() as string;
  } finally {
    db.close();
  }
}

function versionOf(path: string): string {
  return (JSON.parse(readFileSync(join(root, path), 'utf8')) as { version: string }).version;
}

/** By the longest mount point that the folder lies under. */
function fileSystemOf(folder: string): string {
  let mounts: string;
  try {
    mounts = readFileSync('/proc/self/mounts', 'utf8');
  } catch {
    return 'unknown';
  }
  const path = `${realpathSync(folder)}/`;
  let best = { point: '', kind: 'unknown' };
  for (const line of mounts.split('\n')) {
    const [, point, kind] = line.split(' ');
    if (point === undefined || kind === undefined) continue;
    const prefix = point.endsWith('/') ? point : `${point}/`;
    if (path.startsWith(prefix) && prefix.length >= best.point.length) best = { point: prefix, kind };
  }
  return best.kind;
}

function fsyncMs(folder: string): number {
  const path = join(folder, `fsync-${process.pid}.tmp`);
  const page = Buffer.alloc(4096, 1);
  const times: number[] = [];
  const file = openSync(path, 'w');
  try {
    for (let index = 0; index < 100; index += 1) {
      const startMs = performance.now();
      writeSync(file, page, 0, page.length, index * page.length);
      fdatasyncSync(file);
      times.push(performance.now() - startMs);
    }
  } finally {
    closeSync(file);
    rmSync(path, { force: true });
  }
  return times.sort((a, b) => a - b)[times.length / 2]!;
}
