/**
 * Runs an image that image-build.ts has built, as a container runtime would: in process and mount namespaces of its own,
 * the root read-only, /tmp in memory, as the image's user, without capabilities, its command as process 1. It shares
 * the network of this machine. It dies with this process at the latest.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../support/wait.ts';
import { baseMounts, makePlace, type Mount, mountScript, namespaces, quote, variables } from './chroot.ts';
import type { Image } from './image-build.ts';

export interface ContainerOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly mounts?: readonly Mount[];
  /** Instead of the image's. */
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
}

export class Container {
  /** Everything that it printed. */
  output = '';
  /** Settles with the exit code; 137 after SIGKILL. */
  readonly exited: Promise<number>;
  readonly #image: Image;
  readonly #env: Readonly<Record<string, string>>;
  readonly #unshare: ChildProcess;

  constructor(image: Image, { env = {}, mounts = [], command, entrypoint }: ContainerOptions) {
    this.#image = image;
    this.#env = { PATH: path, HOME: '/', ...image.config.env, ...env };
    for (const { source, target } of mounts) makePlace(image.root, source, target);
    const words = [...(entrypoint ?? image.config.entrypoint), ...(command ?? image.config.command)];
    const root = quote(image.root);
    const script = [
      `mount --bind ${root} ${root}`,
      mountScript(image.root, [...baseMounts(), ...mounts]),
      `mount -t tmpfs -o mode=1777,nosuid,nodev,noexec tmpfs ${quote(join(image.root, 'tmp'))}`,
      `mount -o remount,bind,ro ${root}`,
      `exec chroot ${root} ${this.#asUser(words).map(quote).join(' ')}`,
    ];
    this.#unshare = spawn('unshare', [...namespaces, 'sh', '-c', script.join('\n')], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(this.#unshare);
    for (const stream of [this.#unshare.stdout!, this.#unshare.stderr!])
      stream.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    this.exited = once(this.#unshare, 'close').then(([code, signal]) => {
      running.delete(this.#unshare);
      return signal === null ? (code as number) : 137;
    });
  }

  /** Its process 1, as this machine numbers it. */
  async pid(): Promise<number> {
    const parent = this.#unshare.pid!;
    const children = `/proc/${parent}/task/${parent}/children`;
    return Number(await eventually('process 1', () => readFileSync(children, 'utf8').trim() || undefined));
  }

  /** Runs a command beside it, as `docker exec` does. */
  async exec(command: readonly string[]): Promise<{ code: number; output: string }> {
    const enter = ['--target', String(await this.pid()), '--mount', '--pid', '--ipc', '--root', '--wd=/'];
    return await new Promise((resolve) => {
      execFile('nsenter', [...enter, '--', ...this.#asUser(command)], (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 128;
        resolve({ code, output: stdout + stderr });
      });
    });
  }

  /** As `docker stop`: its signal to process 1, and SIGKILL when the grace is over. Settles with the exit code. */
  async stop(graceMs: number): Promise<number> {
    process.kill(await this.pid(), this.#image.config.stopSignal);
    const late = setTimeout(() => void this.kill(), graceMs);
    const code = await this.exited;
    clearTimeout(late);
    return code;
  }

  /** Ends it, whatever it does. With process 1 everything in its namespace ends. */
  async kill(): Promise<void> {
    if (this.#unshare.exitCode === null && this.#unshare.signalCode === null) process.kill(await this.pid(), 'SIGKILL');
    await this.exited;
  }

  #asUser(words: readonly string[]): string[] {
    const [user = '', group = user] = this.#image.config.user.split(':');
    const ids = [`--reuid=${user}`, `--regid=${group}`, '--clear-groups'];
    // A change of user takes away the signal that unshare had set for the case that it dies.
    const rights = ['--pdeathsig=KILL', '--no-new-privs', '--bounding-set=-all', '--inh-caps=-all'];
    const env = ['/usr/bin/env', '-i', `--chdir=${this.#image.config.workdir}`, ...variables(this.#env)];
    return ['/usr/bin/setpriv', ...ids, ...rights, '--', ...env, ...words];
  }
}

/** A new named volume: empty, with the owner and the mode of the image's folder that it covers. */
export function makeVolume(image: Image, target: string, folder: string): Mount {
  const { uid, gid, mode } = statSync(join(image.root, target));
  mkdirSync(folder);
  chownSync(folder, uid, gid);
  chmodSync(folder, mode & 0o7777);
  return { source: folder, target, writable: true };
}

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const running = new Set<ChildProcess>();

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
