/**
 * What one test, or one file of tests, has running: servers, clients, data directories. Whoever makes a stage ends it, also
 * when the test fails: `onTestFinished(() => stage.end())` or `afterAll(() => stage.end())`.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BaseClient } from './base-client.ts';
import { childEnv, command, type LaunchOptions, root, ServerProcess } from './server.ts';
import { mint, type TokenOptions } from './token.ts';

export interface ServeOptions extends Omit<LaunchOptions, 'dataDir'> {
  /** A new one by default. */
  readonly dataDir?: string;
}

export interface ClientOptions extends TokenOptions {
  readonly v1?: boolean;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Stage {
  readonly #servers: ServerProcess[] = [];
  readonly #clients: BaseClient[] = [];
  readonly #directories: string[] = [];
  readonly #atEnd: (() => void)[] = [];

  dataDir(): string {
    const directory = mkdtempSync(join(tmpdir(), 'fermata-test-'));
    this.#directories.push(directory);
    return directory;
  }

  /** Starts the command and waits for nothing. */
  launch(options: ServeOptions): ServerProcess {
    const server = new ServerProcess({ ...options, dataDir: options.dataDir ?? this.dataDir() });
    this.#servers.push(server);
    return server;
  }

  /** Starts the command and waits until it is ready. */
  async serve(options: ServeOptions): Promise<ServerProcess> {
    return await this.launch(options).ready();
  }

  async connect(server: ServerProcess, { v1 = false, ...who }: ClientOptions = {}): Promise<BaseClient> {
    const client = await BaseClient.connect(server.address, { token: await mint(who), v1 });
    this.#clients.push(client);
    return client;
  }

  /** Runs at the end, when every process is gone and before any directory is. */
  atEnd(act: () => void): void {
    this.#atEnd.push(act);
  }

  async end(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.socket.terminate();
    await Promise.all(this.#servers.splice(0).map((server) => server.kill9()));
    for (const act of this.#atEnd.splice(0)) act();
    for (const directory of this.#directories.splice(0)) rmSync(directory, { recursive: true, force: true });
  }
}

/** A port that nobody has: for a server that is to come back where it was. */
export async function freePort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return String(port);
}

/** Another of the shipped commands, from its start to its end. */
export function run(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CommandResult> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [command, ...words],
      { cwd: root, env: childEnv(env), timeout: 30_000 },
      (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, stdout, stderr });
      },
    );
  });
}
