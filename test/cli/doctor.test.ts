import { readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fileSystemType, judgeFileSystem, judgeFreeSpace, judgeSyncTime } from '../../src/cli/doctor-disk.ts';
import type { Finding } from '../../src/cli/doctor-finding.ts';
import {
  judgeClock,
  judgeContainer,
  judgeCores,
  judgeNode,
  judgeOpenFiles,
  portFinding,
} from '../../src/cli/doctor-machine.ts';
import { loadConfig } from '../../src/host/config-load.ts';
import { fermata, newFolder } from './command-fixture.ts';

const { config } = loadConfig({ flags: new Map([['--shards', ['2']]]), env: {} });
const mebibyte = 1024 * 1024;

describe('judgements', () => {
  test.each([
    ['20.19.0', 'fail'],
    ['22.17.1', 'fail'],
    ['22.18.0', 'ok'],
    ['23.11.0', 'warn'],
    ['24.1.0', 'ok'],
  ])('Node %s: %s', (version, status) => {
    expect(judgeNode(version).status).toBe(status);
  });

  test.each([
    [0.3, 'ok'],
    [5, 'warn'],
    [11, 'warn'],
  ])('an fsync of %d ms: %s', (ms, status) => {
    expect(judgeSyncTime(ms).status).toBe(status);
  });

  test('a slow fsync is called slow', () => {
    expect(judgeSyncTime(11).message).toMatch(/^slow/);
    expect(judgeSyncTime(5).message).toMatch(/^middling/);
  });

  test.each([
    [5 * mebibyte, 'fail'],
    [500 * mebibyte, 'warn'],
    [5000 * mebibyte, 'ok'],
  ])('%i bytes free: %s', (bytes, status) => {
    expect(judgeFreeSpace(bytes).status).toBe(status);
  });

  test.each([
    ['ext4', 'ok'],
    ['nfs4', 'fail'],
    ['cifs', 'fail'],
    ['fuse.sshfs', 'fail'],
    ['tmpfs', 'warn'],
    ['overlay', 'warn'],
    [undefined, 'warn'],
  ])('the file system %s: %s', (type, status) => {
    expect(judgeFileSystem(type).status).toBe(status);
  });

  test('the file system of a path is that of its longest mount point, the later of two', () => {
    const mounts = [
      '/dev/a / ext4 rw 0 0',
      'host:/x /srv nfs4 rw 0 0',
      '/dev/b /srv/my\\040data xfs rw 0 0',
      'tmpfs /srvx tmpfs rw 0 0',
      '/dev/c / btrfs rw 0 0',
      '',
    ].join('\n');
    expect(fileSystemType(mounts, '/home')).toBe('btrfs');
    expect(fileSystemType(mounts, '/srv')).toBe('nfs4');
    expect(fileSystemType(mounts, '/srv/other')).toBe('nfs4');
    expect(fileSystemType(mounts, '/srv/my data/x')).toBe('xfs');
    expect(fileSystemType('', '/home')).toBeUndefined();
  });

  test('open files are counted against sockets, and the hint names what would fit', () => {
    expect(judgeOpenFiles(1_000_000, config).status).toBe('ok');
    expect(judgeOpenFiles(undefined, config).status).toBe('ok');
    const finding = judgeOpenFiles(4096, config);
    expect(finding.status).toBe('warn');
    const fitting = Number(/socketsMax=(\d+)/.exec(finding.hint ?? '')?.[1]);
    expect(judgeOpenFiles(4096, { ...config, limits: { ...config.limits, socketsMax: fitting } }).status).toBe('ok');
  });

  test('more busy threads than cores are worth a look', () => {
    expect(judgeCores(2, config).status).toBe('ok');
    expect(judgeCores(1, config).status).toBe('warn');
  });

  test('a clock that was never set fails', () => {
    expect(judgeClock(0).status).toBe('fail');
    expect(judgeClock(Number.NaN).status).toBe('fail');
    expect(judgeClock(Date.now()).status).toBe('ok');
  });

  test('in a container it says how signals arrive', () => {
    expect(judgeContainer(false, 7).message).toBe('none');
    expect(judgeContainer(true, 1).message).toContain('process 1');
    expect(judgeContainer(true, 7).message).toContain('init');
  });
});

describe('ports', () => {
  test('a taken port is seen, a free one is left free', async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
    const { port } = holder.address() as AddressInfo;
    expect((await portFinding('127.0.0.1', port)).status).toBe('warn');
    await new Promise((resolve) => holder.close(resolve));
    expect((await portFinding('127.0.0.1', port)).status).toBe('ok');
    expect((await portFinding('127.0.0.1', port)).status).toBe('ok');
  });

  test('an address of another machine fails', async () => {
    expect((await portFinding('192.0.2.1', 0)).status).toBe('fail');
  });
});

describe('the command', () => {
  test('looks at everything, as JSON too, and leaves nothing behind', async () => {
    const dataDir = newFolder();
    const { out } = await fermata(['doctor', '--json', '--port', '0', '--data-dir', dataDir]);
    const findings = JSON.parse(out) as Finding[];
    expect(findings.map((finding) => finding.check)).toEqual([
      'Node',
      'SQLite',
      'uWebSockets.js',
      'cores',
      'open files',
      'clock',
      'container',
      'port 0',
      'data directory',
      'file system',
      'free space',
      'fsync',
    ]);
    for (const check of ['Node', 'SQLite', 'uWebSockets.js', 'data directory']) {
      expect(findings.find((finding) => finding.check === check)?.status).toBe('ok');
    }
    expect(readdirSync(dataDir)).toEqual([]);
  });

  test('a data directory that does not exist yet is fine and is not made', async () => {
    const folder = newFolder();
    const { out } = await fermata(['doctor', '--port', '0', '--data-dir', join(folder, 'a', 'b')]);
    expect(out).toMatch(/^ok +data directory .*does not exist yet and can be made$/m);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('what fails is told with what to do, and ends with 1', async () => {
    const file = join(newFolder(), 'file');
    writeFileSync(file, '');
    const { exitCode, out } = await fermata(['doctor', '--port', '0', '--data-dir', file]);
    expect(exitCode).toBe(1);
    expect(out).toMatch(/^fail +data directory .*is a file\n +→ Choose another/m);
    expect(out).toContain('checks failed');
  });
});
