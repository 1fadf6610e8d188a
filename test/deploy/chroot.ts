/**
 * A root file system that stands in for the base image: this machine's Debian, Node and npm, mounted read-only into a
 * folder, the rest of which is empty. Mounts are made in a mount namespace of each command's own, so they end with it and
 * there is nothing to undo. Needs Linux and root; `assertChroot` says so where that is missing.
 */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readlinkSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Mount {
  readonly source: string;
  /** A path inside. */
  readonly target: string;
  readonly writable?: boolean;
}

/** @throws Error with a sentence that says what this machine lacks */
export function assertChroot(): void {
  const lacks = (what: string): Error =>
    new Error(`the image is built and run here without Docker, by root, in namespaces of Linux: ${what}`);
  if (process.platform !== 'linux') throw lacks(`this is ${process.platform}`);
  if (process.getuid?.() !== 0) throw lacks('run this test as root');
  try {
    execFileSync('unshare', ['--mount', '--pid', '--fork', 'sh', '-c', 'command -v chroot setpriv nsenter env mount'], {
      stdio: 'pipe',
    });
  } catch (error) {
    throw lacks(`unshare, chroot, setpriv and nsenter must be there and allowed (${String(error)})`);
  }
}

/** Makes the folder, and the places that `baseMounts` fills. */
export function makeBase(root: string): void {
  for (const folder of ['dev', 'etc', 'opt', 'proc', 'root', 'run', 'tmp', 'var/tmp', 'usr/local/bin'])
    mkdirSync(join(root, folder), { recursive: true });
  // Debian's /bin is a link into /usr.
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    if (existsSync(`/${name}`) && lstatSync(`/${name}`).isSymbolicLink())
      symlinkSync(readlinkSync(`/${name}`), join(root, name));
  }
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(root, 'usr/local/bin/npm'));
  for (const { source, target } of baseMounts()) makePlace(root, source, target);
}

/** An empty place of the kind that will be mounted on it, as Docker makes one. */
export function makePlace(root: string, source: string, target: string): void {
  const place = join(root, target);
  if (existsSync(place)) return;
  mkdirSync(dirname(place), { recursive: true });
  if (lstatSync(realpathSync(source)).isDirectory()) mkdirSync(place);
  else writeFileSync(place, '');
}

export function baseMounts(): Mount[] {
  const folders = [
    '/usr/bin',
    '/usr/sbin',
    '/usr/lib',
    '/usr/lib64',
    '/usr/share',
    '/etc',
    '/bin',
    '/sbin',
    '/lib',
    '/lib64',
  ];
  const devices = ['null', 'zero', 'full', 'random', 'urandom'].map((name) => `/dev/${name}`);
  return [
    ...folders
      .filter((path) => existsSync(path) && !lstatSync(path).isSymbolicLink())
      .map((path) => ({ source: path, target: path })),
    ...devices.map((path) => ({ source: path, target: path, writable: true })),
    { source: realpathSync(process.execPath), target: '/usr/local/bin/node' },
    { source: npmFolder(), target: '/usr/local/lib/node_modules/npm' },
  ];
}

/** Shell commands that mount these below the root. */
export function mountScript(root: string, mounts: readonly Mount[]): string {
  const lines = mounts.flatMap(({ source, target, writable }) => {
    const place = quote(join(root, target));
    const bind = `mount --bind ${quote(realpathSync(source))} ${place}`;
    return writable ? [bind] : [bind, `mount -o remount,bind,ro ${place}`];
  });
  return ['set -e', ...lines, `mount -t proc proc ${quote(join(root, 'proc'))}`].join('\n');
}

/** Runs a command inside, as root, with the folder writable. Settles with its output. @throws Error with the output when it fails */
export async function runInside(
  root: string,
  command: string,
  { env, cwd, mounts }: { env: Readonly<Record<string, string>>; cwd: string; mounts: readonly Mount[] },
): Promise<string> {
  for (const { source, target } of mounts) makePlace(root, source, target);
  const words = ['/usr/bin/env', '-i', `--chdir=${cwd}`, ...variables(env), '/bin/sh', '-c', command].map(quote);
  const script = `${mountScript(root, [...baseMounts(), ...mounts])}\nexec chroot ${quote(root)} ${words.join(' ')}`;
  return await new Promise((resolve, reject) => {
    execFile('unshare', [...namespaces, 'sh', '-c', script], (error, stdout, stderr) => {
      if (error === null) resolve(stdout + stderr);
      else reject(new Error(`${command}\n${stdout}${stderr}`, { cause: error }));
    });
  });
}

/** What a command gets of its own. It is process 1 there, and dies with `unshare`. */
export const namespaces = ['--mount', '--pid', '--ipc', '--fork', '--kill-child'] as const;

export function variables(env: Readonly<Record<string, string>>): string[] {
  return Object.entries(env).map(([name, value]) => `${name}=${value}`);
}

export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function npmFolder(): string {
  const found = (process.env['PATH'] ?? '').split(':').find((folder) => existsSync(join(folder, 'npm')));
  if (found === undefined) throw new Error('npm is not on the PATH');
  return join(dirname(realpathSync(join(found, 'npm'))), '..');
}
