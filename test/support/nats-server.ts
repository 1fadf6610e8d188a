/**
 * A real nats-server with JetStream for a test: on a free port of loopback, its store in a temporary folder that goes with it.
 * It can be killed, stopped and started again on the same port and store.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { needs } from './needs.ts';
import { freePort } from './stage.ts';

export interface NatsServerOptions {
  /** Lines added to the configuration file. */
  readonly config?: string;
}

export class NatsServer {
  readonly port: number;
  readonly #folder: string;
  #child: ChildProcess | undefined;
  #output = '';

  private constructor(port: number, folder: string) {
    this.port = port;
    this.#folder = folder;
  }

  static async start({ config = '' }: NatsServerOptions = {}): Promise<NatsServer> {
    const folder = mkdtempSync(join(tmpdir(), 'fermata-nats-'));
    const server = new NatsServer(Number(await freePort()), folder);
    const lines = [
      `listen: "127.0.0.1:${server.port}"`,
      `jetstream { store_dir: "${join(folder, 'store')}", max_file_store: 1GB, max_memory_store: 64MB }`,
      config,
    ];
    writeFileSync(join(folder, 'nats.conf'), `${lines.join('\n')}\n`);
    await server.up();
    return server;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** What it wrote, for a test that failed. */
  get output(): string {
    return this.#output;
  }

  /** Starts it, or starts it again where it was. */
  async up(): Promise<void> {
    const child = spawn(needs('nats-server'), ['-c', join(this.#folder, 'nats.conf')], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString()).slice(-20_000);
      });
    }
    const untilMs = performance.now() + 10_000;
    while (!(await this.#answers())) {
      if (child.exitCode !== null || performance.now() > untilMs)
        throw new Error(`nats-server did not start: ${this.#output}`);
      await delay(20);
    }
  }

  /** Ends it with the signal; its store stays. */
  async down(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGCONT');
    child.kill(signal);
    await exit;
  }

  /** While it is down: all that it kept is gone. */
  wipe(): void {
    rmSync(join(this.#folder, 'store'), { recursive: true, force: true });
  }

  /** Stops it in its tracks, connections open, until `thaw`. */
  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  /** Ends it for good. */
  async close(): Promise<void> {
    await this.down();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #answers(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = dial(this.port, '127.0.0.1');
      const settle = (up: boolean): void => {
        socket.destroy();
        resolve(up);
      };
      // JetStream is ready when the greeting says so.
      socket.once('data', (chunk: Buffer) => settle(chunk.toString().startsWith('INFO')));
      socket.once('error', () => settle(false));
    });
  }
}
