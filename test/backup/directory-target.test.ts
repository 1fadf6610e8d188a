import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { directoryTarget } from '../../src/backup/directory-target.ts';
import { MissingBackupError } from '../../src/backup/errors.ts';
import { baseName, segmentName } from '../../src/backup/names.ts';
import type { BackupTarget } from '../../src/backup/target.ts';
import { temporaryDirectory } from '../storage/fixtures.ts';

const copy = `${baseName('acme', 1)}.db`;
const manifest = `${baseName('acme', 1)}.json`;
const log = segmentName('acme', 1);

let place: string;
let root: string;
let target: BackupTarget;
beforeEach(() => {
  place = temporaryDirectory();
  root = join(place, 'deep/backups');
  target = directoryTarget(root);
});

describe('a directory as a target', () => {
  it('is called by its absolute path', () => {
    expect(target.name).toBe(root);
    expect(directoryTarget('backups').name).toBe(join(process.cwd(), 'backups'));
  });

  it('gives back what was put there, to a file or as bytes', async () => {
    const bytes = Buffer.alloc(2_500_000, 'some content. ');
    await target.put(copy, fileOf(bytes));
    await target.putText(manifest, '{"größe":1}');
    expect((await target.read(copy)).equals(bytes)).toBe(true);
    expect((await target.read(manifest)).toString()).toBe('{"größe":1}');
    await target.get(copy, join(place, 'back'));
    expect(readFileSync(join(place, 'back')).equals(bytes)).toBe(true);
  });

  it('replaces what has the same name', async () => {
    await target.put(copy, fileOf('a long former content'));
    await target.put(copy, fileOf('new'));
    expect((await target.read(copy)).toString()).toBe('new');
    await target.put(copy, fileOf(''));
    expect(await target.read(copy)).toHaveLength(0);
  });

  it('lists objects by name and with their length, all or those that begin alike', async () => {
    expect(await target.list('')).toEqual([]);
    for (const name of [segmentName('b', 2), segmentName('b', 1), copy, manifest, segmentName('a', 1, true)])
      await target.putText(name, name);
    const all = [segmentName('a', 1, true), copy, manifest, segmentName('b', 1), segmentName('b', 2)];
    const sizes = (names: string[]): object[] => names.map((name) => ({ name, bytes: name.length }));
    expect(await target.list('')).toEqual(sizes(all));
    expect(await target.list('acme/')).toEqual(sizes([copy, manifest]));
    expect(await target.list('a')).toEqual(sizes(all.slice(0, 3)));
    expect(await target.list('b/log/')).toEqual(sizes(all.slice(3)));
    expect(await target.list('b/log/00000002')).toEqual(sizes(all.slice(4)));
    expect(await target.list('b/base/')).toEqual([]);
    expect(await target.list('nobody/base/')).toEqual([]);
    expect(await target.list('../')).toEqual([]);
  });

  it('forgets what is removed, and does not mind when it was not there', async () => {
    await target.remove(copy);
    await target.putText(copy, 'x');
    await target.remove(copy);
    expect(await target.list('')).toEqual([]);
  });

  it('says what is missing, and where', async () => {
    const missing = `${copy} is not in ${root}`;
    await expect(target.read(copy)).rejects.toThrow(new MissingBackupError(missing));
    await expect(target.get(copy, join(place, 'back'))).rejects.toThrow(new MissingBackupError(missing));
    expect(existsSync(join(place, 'back'))).toBe(false);
  });

  it('writes over no local file', async () => {
    await target.putText(copy, 'from the backup');
    await expect(target.get(copy, fileOf('precious'))).rejects.toMatchObject({ code: 'EEXIST' });
    expect(readFileSync(join(place, 'source'), 'utf8')).toBe('precious');
  });

  it('leaves a former object as it is when its source cannot be read', async () => {
    await target.putText(copy, 'former');
    await expect(target.put(copy, join(place, 'nothing'))).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(target.put(copy, place)).rejects.toThrow(`${copy} in ${root} cannot be written: EISDIR`);
    expect((await target.read(copy)).toString()).toBe('former');
    expect(files('acme/base')).toEqual([copy.slice('acme/base/'.length)]);
  });
});

describe('an append', () => {
  it('adds to what is there, and makes what is not', async () => {
    await target.append(log, 0, Buffer.from('one'));
    await target.append(log, 3, Buffer.from('two'));
    expect(await content()).toBe('onetwo');
  });

  it('that is repeated changes nothing, the first and any other', async () => {
    for (let times = 0; times < 3; times += 1) await target.append(log, 0, Buffer.from('one'));
    await target.append(log, 3, Buffer.from('two'));
    for (let times = 0; times < 2; times += 1) await target.append(log, 3, Buffer.from('two'));
    await target.append(log, 0, Buffer.from('one'));
    expect(await content()).toBe('onetwo');
  });

  it('beyond the end is refused, because something is missing in between', async () => {
    const beyond = `${log} in ${root} has 0 bytes: nothing can be added at 1`;
    await expect(target.append(log, 1, Buffer.from('x'))).rejects.toThrow(beyond);
    expect(existsSync(join(root, log))).toBe(false);
    await target.append(log, 0, Buffer.from('one'));
    await expect(target.append(log, 4, Buffer.from('x'))).rejects.toThrow('has 3 bytes: nothing can be added at 4');
    expect(await content()).toBe('one');
  });

  it.each([
    ['a part of it', 'onetw', 'two', 'onetwo'],
    ['something else', 'oneXY', 'two', 'onetwo'],
    ['something longer', 'onetwelve and more', 'two', 'onetwo'],
    ['nothing', 'one', 'two', 'onetwo'],
  ])('replaces what one that was cut off left there: %s', async (_what, there, added, after) => {
    await target.append(log, 0, Buffer.from('one'));
    writeFileSync(join(root, log), there);
    await target.append(log, 3, Buffer.from(added));
    expect(await content()).toBe(after);
  });

  it('at the beginning replaces whatever is there', async () => {
    await target.append(log, 0, Buffer.from('a long former content'));
    await target.append(log, 0, Buffer.from('new'));
    expect(await content()).toBe('new');
  });
});

describe('what lies in the directory', () => {
  it('is readable for its owner alone', async () => {
    await target.put(copy, fileOf('x'));
    await target.append(log, 0, Buffer.from('x'));
    await target.get(copy, join(place, 'back'));
    const modes = ['', 'acme', 'acme/base', copy, 'acme/log', log].map(
      (each) => statSync(join(root, each)).mode & 0o777,
    );
    expect(modes).toEqual([0o700, 0o700, 0o700, 0o600, 0o700, 0o600]);
    expect(statSync(join(place, 'back')).mode & 0o777).toBe(0o600);
  });

  it('has a legal name, or is left alone', async () => {
    for (const name of ['../up', 'acme/base/../../x.db', 'acme/base/x.db', '/etc/passwd', '', `${copy}/x`]) {
      const refused = `${JSON.stringify(name)} is not the name of a backup or of a part of a log`;
      await expect(target.putText(name, 'x')).rejects.toThrow(refused);
      await expect(target.append(name, 0, Buffer.from('x'))).rejects.toThrow(refused);
      await expect(target.read(name)).rejects.toThrow(refused);
      await expect(target.remove(name)).rejects.toThrow(refused);
    }
    await target.putText(copy, 'x');
    mkdirSync(join(root, 'lost+found'));
    for (const stray of ['README', 'acme/notes', 'acme/base/copy.db', `${copy}~`])
      writeFileSync(join(root, stray), 'x');
    mkdirSync(join(root, manifest));
    expect(await target.list('')).toEqual([{ name: copy, bytes: 1 }]);
  });

  it('is not found through a link: to a file, to a folder, to a tenant', async () => {
    const elsewhere = directoryTarget(join(place, 'elsewhere'));
    await elsewhere.putText(copy, 'foreign');
    mkdirSync(join(root, 'file/base'), { recursive: true });
    mkdirSync(join(root, 'folder'));
    symlinkSync(join(elsewhere.name, copy), join(root, copy.replace('acme', 'file')));
    symlinkSync(join(elsewhere.name, 'acme/base'), join(root, 'folder/base'));
    symlinkSync(join(elsewhere.name, 'acme'), join(root, 'tenant'));
    expect(await target.list('')).toEqual([]);
    for (const tenant of ['file', 'folder', 'tenant']) {
      const name = copy.replace('acme', tenant);
      expect(await target.list(`${tenant}/base/`)).toEqual([]);
      await expect(target.read(name)).rejects.toThrow(/ELOOP|links are not followed here/);
      await expect(target.append(name, 0, Buffer.from('x'))).rejects.toThrow(/ELOOP|links are not followed here/);
    }
    await expect(target.putText(copy.replace('acme', 'folder'), 'x')).rejects.toThrow('links are not followed here');
    await expect(target.remove(copy.replace('acme', 'tenant'))).rejects.toThrow('links are not followed here');
    // A put takes the place of the link, and leaves alone what it leads to.
    await target.putText(copy.replace('acme', 'file'), 'ours');
    expect((await elsewhere.read(copy)).toString()).toBe('foreign');
  });

  it('is a file, and nobody waits for a pipe that lies there', async () => {
    mkdirSync(join(root, 'acme/log'), { recursive: true });
    execFileSync('mkfifo', [join(root, log)]);
    await expect(target.read(log)).rejects.toThrow(`${join(root, log)} must be a file`);
    expect(await target.list('')).toEqual([]);
  });
});

// A disk of its own needs root, as the test command does.
describe('on a full disk', () => {
  it('a put names its object and leaves the former one, and no part of the new one', async () => {
    const { disk, free } = fullDisk();
    await disk.putText(copy, 'former');
    await expect(disk.put(copy, fileOf(Buffer.alloc(2_000_000)))).rejects.toMatchObject({
      code: 'ENOSPC',
      message: expect.stringMatching(`^${copy} in .* cannot be written: ENOSPC`) as string,
    });
    await expect(disk.put(copy.replace('.db', '.json'), fileOf(Buffer.alloc(2_000_000)))).rejects.toThrow('ENOSPC');
    expect(await disk.list('')).toEqual([{ name: copy, bytes: 6 }]);
    expect(readdirSync(join(disk.name, 'acme/base'))).toHaveLength(1);
    free();
    await disk.put(copy, fileOf(Buffer.alloc(2_000_000)));
    expect(await disk.read(copy)).toHaveLength(2_000_000);
  });

  it('an append names its object and leaves it as long as it was, and works when there is space', async () => {
    const { disk, free } = fullDisk();
    await disk.append(log, 0, Buffer.from('former'));
    const bytes = Buffer.alloc(2_000_000, 'x');
    await expect(disk.append(log, 6, bytes)).rejects.toMatchObject({
      code: 'ENOSPC',
      message: expect.stringMatching(`^${log} in .* cannot be added to: ENOSPC`) as string,
    });
    expect((await disk.read(log)).toString()).toBe('former');
    await expect(disk.append(segmentName('acme', 2), 0, bytes)).rejects.toThrow('ENOSPC');
    expect(await disk.list('acme/log/')).toEqual([{ name: log, bytes: 6 }]);
    free();
    await disk.append(log, 6, bytes);
    expect(await disk.read(log)).toHaveLength(2_000_006);
  });

  it('a copy back leaves no part of itself', async () => {
    const { disk } = fullDisk();
    await target.put(copy, fileOf(Buffer.alloc(2_000_000)));
    mkdirSync(disk.name);
    await expect(target.get(copy, join(disk.name, 'back'))).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(readdirSync(disk.name)).toEqual([]);
  });
});

/** Four MiB, of which three are taken. */
function fullDisk(): { disk: BackupTarget; free: () => void } {
  const mounted = join(place, 'disk');
  mkdirSync(mounted);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', mounted], { stdio: 'pipe' });
  onTestFinished(() => void execFileSync('umount', ['--lazy', mounted]));
  const { bavail, bsize } = statfsSync(mounted);
  const ballast = join(mounted, 'ballast');
  writeFileSync(ballast, Buffer.alloc(bavail * bsize - 1_000_000));
  return { disk: directoryTarget(join(mounted, 'backups')), free: () => rmSync(ballast) };
}

function fileOf(bytes: Buffer | string): string {
  const path = join(place, 'source');
  writeFileSync(path, bytes);
  return path;
}

async function content(): Promise<string> {
  return (await target.read(log)).toString();
}

function files(folder: string): string[] {
  return readdirSync(join(root, folder));
}
