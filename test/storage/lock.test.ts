import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DataDirLock } from '../../src/storage/lock.ts';
import { codeOf, temporaryDirectory } from './fixtures.ts';

describe('the lock on a data directory', () => {
  it('creates the directory for the owner only, and can be taken again after release', () => {
    const dataDir = join(temporaryDirectory(), 'a/b');
    for (let n = 0; n < 2; n += 1) DataDirLock.acquire(dataDir).release();
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
    expect(statSync(join(dataDir, 'LOCK')).mode & 0o777).toBe(0o600);
  });

  it('refuses a second process with one line that names directory, holder and way out', async () => {
    const dataDir = temporaryDirectory();
    const holder = await holdInChild(dataDir);
    const message = codeOf(() => DataDirLock.acquire(dataDir));
    expect(message).toBe(
      `Error: data directory ${dataDir} is in use by process ${holder.pid}: stop that one first, or set DATA_DIR to another directory`,
    );
    // Reading the pid must not have freed it.
    expect(codeOf(() => DataDirLock.acquire(dataDir))).toBe(message);
  });

  it('is free again when its holder was killed with -9', async () => {
    const dataDir = temporaryDirectory();
    const holder = await holdInChild(dataDir);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    DataDirLock.acquire(dataDir).release();
  });

  it('refuses its own process too, under any name of the directory, and stays held by that', async () => {
    const dataDir = temporaryDirectory();
    const lock = DataDirLock.acquire(dataDir);
    const link = join(temporaryDirectory(), 'link');
    symlinkSync(dataDir, link);
    for (const name of [dataDir, `${dataDir}/.`, link])
      expect(codeOf(() => DataDirLock.acquire(name))).toContain(`process ${process.pid}`);
    await expect(holdInChild(dataDir)).rejects.toThrow(`in use by process ${process.pid}`);
    lock.release();
  });

  it('says what is wrong with the directory', () => {
    const place = temporaryDirectory();
    writeFileSync(join(place, 'file'), '');
    expect(codeOf(() => DataDirLock.acquire(join(place, 'file')))).toMatch(
      /cannot be created \(ENOTDIR\).*set DATA_DIR/,
    );
    expect(codeOf(() => DataDirLock.acquire(join(place, 'file/below')))).toMatch(/cannot be created \(ENOTDIR\)/);
    mkdirSync(join(place, 'damaged'));
    writeFileSync(join(place, 'damaged/LOCK'), 'x'.repeat(5000));
    expect(codeOf(() => DataDirLock.acquire(join(place, 'damaged')))).toMatch(/cannot be locked .* delete that file/);
  });
});

/** A process that holds the lock until it is killed. @throws Error with what it wrote when it cannot */
async function holdInChild(dataDir: string): Promise<ChildProcess> {
  const code = `import { DataDirLock } from ${JSON.stringify(new URL('../../src/storage/lock.ts', import.meta.url).href)};
    try { globalThis.lock = DataDirLock.acquire(${JSON.stringify(dataDir)}); console.log('held'); setInterval(() => undefined, 1000); }
    catch (error) { console.log(error.message); }`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [output] = (await once(child.stdout, 'data')) as [Buffer];
  if (output.toString().trim() !== 'held') throw new Error(output.toString());
  return child;
}
