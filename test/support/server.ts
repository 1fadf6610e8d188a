/**
 * The shipped command as a child process: `fermata serve`, or one of its two sides alone, with real threads, files and sockets.
 *
 * Every child is known here until it has ended, and dies with this process at the latest. Its log is kept, so that a test
 * can wait for a line of it and show it when something fails.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { built } from './built.ts';
import { secret } from './token.ts';

export const root = fileURLToPath(new URL('../../', import.meta.url));
/** The command, as a source and as it was built. */
export const source = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
export const command = built(source);

/** What a process does: both, or sockets alone, or actors alone. */
export type Side = 'serve' | 'gateway' | 'runtime';

export interface LaunchOptions {
  /** `serve` by default. */
  readonly side?: Side;
  /**
   * A file of `test/support/apps` without its extension, or a path, from the root of the repository or absolute. Apps of the
   * tests are served by what was built of the sources, as the package does it, others by the sources, as `npm start` does it.
   */
  readonly app: string;
  readonly dataDir: string;
  /** One that is free by default. */
  readonly port?: string;
  /** Words after the ones that every server gets. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A module that is imported before anything else, in every thread. */
  readonly preload?: string;
}

export interface LogLine {
  readonly msg?: string;
  readonly level?: number;
  readonly [field: string]: unknown;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const readyMsMax = 30_000;
const running = new Set<ChildProcess>();

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** What a child of the tests sees of the environment: nothing that the test runner set. */
export function childEnv(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const { PATH = '', HOME = '', TMPDIR } = process.env;
  return { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }), AUTH_JWT_SECRET: secret, ...extra };
}

/** What belongs to the tests runs as it was built, every other app from the sources. */
function inKind(app: string, file: string): string {
  return app.includes('/') && !app.startsWith('test/') ? file : built(file);
}

export class ServerProcess {
  readonly dataDir: string;
  readonly startedMs = performance.now();
  readonly logs: LogLine[] = [];
  /** Everything that it printed, in order. */
  output = '';
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #listeners = new Set<() => void>();
  #ended = false;

  constructor(options: LaunchOptions) {
    const { app, dataDir, args = [], env = {}, preload } = options;
    this.dataDir = dataDir;
    const entry = inKind(app, source);
    const plant = preload === undefined ? {} : { NODE_OPTIONS: `--import=${pathToFileURL(inKind(app, preload)).href}` };
    this.#child = spawn(process.execPath, [entry, ...wordsOf(options), '--data-dir', dataDir, ...args], {
      cwd: root,
      env: childEnv({ ...plant, ...env }),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(this.#child);
    this.#read();
    // 'close' comes after the last line of output, 'exit' may come before it.
    this.exited = once(this.#child, 'close').then(([code, signal]) => {
      running.delete(this.#child);
      this.#ended = true;
      this.#tell();
      return { code: code as number | null, signal: signal as NodeJS.Signals | null };
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** `http://127.0.0.1:<port>`. */
  get address(): string {
    const line = this.logs.find(({ msg }) => msg === 'ready');
    if (line === undefined) throw new Error(`the server is not ready:\n${this.output}`);
    return line['address'] as string;
  }

  /** @throws Error with all output when it ends before it is ready */
  async ready(): Promise<this> {
    await this.logged(({ msg }) => msg === 'ready', readyMsMax);
    return this;
  }

  /** The first line of the log that matches, now or later. @throws Error with all output when it ends without, or takes too long */
  async logged(matches: (line: LogLine) => boolean, msMax = 10_000): Promise<LogLine> {
    const deadlineMs = performance.now() + msMax;
    for (;;) {
      const found = this.logs.find(matches);
      if (found !== undefined) return found;
      if (this.#ended) throw new Error(`the server ended before it logged that:\n${this.output}`);
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) throw new Error(`the server did not log that in ${msMax} ms:\n${this.output}`);
      await this.#change(leftMs);
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** All threads die at once, as from the kernel's OOM killer. */
  async kill9(): Promise<Exit> {
    this.signal('SIGKILL');
    return await this.exited;
  }

  async term(): Promise<Exit> {
    this.signal('SIGTERM');
    return await this.exited;
  }

  #read(): void {
    let rest = '';
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line.startsWith('{')) this.logs.push(JSON.parse(line) as LogLine);
      this.#tell();
    });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
    });
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  #change(msMax: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#listeners.delete(done);
        resolve();
      };
      const timer = setTimeout(done, msMax);
      this.#listeners.add(done);
    });
  }
}

function wordsOf({ side = 'serve', app, port = '0' }: LaunchOptions): string[] {
  if (side === 'gateway') return [side, '--port', port];
  const file = resolve(root, app.includes('/') ? app : `test/support/apps/${app}.ts`);
  const words = [side, relative(root, inKind(app, file))];
  return side === 'runtime' ? words : [...words, '--port', port];
}
