/** The shipped command with its log and the moment of each line, counted from its spawn. */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { mintToken } from '../src/gateway/auth-mint.ts';
import type { AuthConfig } from '../src/host/config.ts';
import { startChild } from './children.ts';

export type LogLine = Readonly<Record<string, unknown>>;

interface Logged {
  readonly line: LogLine;
  /** After the spawn. */
  readonly atMs: number;
}

const root = join(import.meta.dirname, '..');
const secret = randomBytes(32).toString('base64url');
const auth: AuthConfig = {
  secret,
  jwksUrl: undefined,
  jwksFile: undefined,
  issuer: 'fermata',
  audience: 'fermata',
  algorithms: ['HS256'],
  tenantClaim: 'tenant',
  queryToken: false,
  revokedFile: undefined,
};
const lifeMsMax = 10 * 60_000;
const lineMsMax = 60_000;

export async function ownToken(tenant: string): Promise<string> {
  return await mintToken(auth, secret, { tenant, sub: 'bench', ttlS: 3600, claims: {} });
}

export class StartedServer {
  readonly #child: ChildProcess;
  readonly #exited: Promise<number | null>;
  readonly #lines: Logged[] = [];
  readonly #listeners = new Set<() => void>();
  #ended = false;

  constructor(dataDir: string, args: readonly string[] = []) {
    const startMs = performance.now();
    this.#child = startChild({
      args: [
        join(root, 'src/cli/main.ts'),
        'serve',
        join(root, 'bench/apps/start.ts'),
        '--port',
        '0',
        '--data-dir',
        dataDir,
        '--limit',
        'messagesPerSecond=0',
        ...args,
      ],
      env: { AUTH_JWT_SECRET: secret },
      channel: false,
      lifeMsMax,
    });
    this.#exited = new Promise((resolve) => {
      this.#child.once('exit', (code) => {
        this.#ended = true;
        this.#tell();
        resolve(code);
      });
    });
    createInterface({ input: this.#child.stdout! }).on('line', (text) => {
      if (!text.startsWith('{')) return;
      this.#lines.push({ line: JSON.parse(text) as LogLine, atMs: performance.now() - startMs });
      this.#tell();
    });
  }

  /** The first line whose message begins so, now or later. @throws Error when it ends without, or takes too long */
  async logged(start: string, msMax = lineMsMax): Promise<Logged> {
    const endMs = performance.now() + msMax;
    for (;;) {
      const found = this.#lines.find(({ line }) => String(line['msg']).startsWith(start));
      if (found !== undefined) return found;
      const leftMs = endMs - performance.now();
      if (this.#ended || leftMs <= 0) {
        const last = this.#lines.slice(-5).map(({ line }) => JSON.stringify(line));
        throw new Error(`the server did not log "${start}":\n${last.join('\n')}`);
      }
      await this.#change(leftMs);
    }
  }

  /** Settles with the exit code when it is gone; at once when it is already. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    this.#child.kill(signal);
    return await this.#exited;
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
