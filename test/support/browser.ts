/**
 * A headless Chromium, driven over its debugging port: open tabs, evaluate in them, and nothing more.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';

const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--remote-debugging-port=0',
];

export class Browser {
  readonly #process: ChildProcess;
  readonly #profile: string;
  readonly #address: string;

  private constructor(process: ChildProcess, profile: string, address: string) {
    this.#process = process;
    this.#profile = profile;
    this.#address = address;
  }

  static async start(): Promise<Browser> {
    const profile = mkdtempSync(join(tmpdir(), 'fermata-chromium-'));
    const child = spawn('chromium', [...flags, `--user-data-dir=${profile}`, 'about:blank'], {
      stdio: ['ignore', 'ignore', 'pipe'],
      // A group of its own, so that what it has started ends with it.
      detached: true,
    });
    let said = '';
    const address = await new Promise<string>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`chromium ended with ${code}: ${said}`)));
      child.stderr.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        const found = /DevTools listening on ws:\/\/([^/]+)\//.exec(said);
        if (found !== null) resolve(found[1]!);
      });
    });
    return new Browser(child, profile, address);
  }

  async open(url: string): Promise<Tab> {
    const response = await fetch(`http://${this.#address}/json/new?${url}`, { method: 'PUT' });
    const { webSocketDebuggerUrl } = (await response.json()) as { webSocketDebuggerUrl: string };
    const socket = new WebSocket(webSocketDebuggerUrl);
    await once(socket, 'open');
    return new Tab(socket);
  }

  async end(): Promise<void> {
    const exited = once(this.#process, 'exit');
    const isOver = this.#process.exitCode !== null || this.#process.signalCode !== null;
    try {
      process.kill(-this.#process.pid!, 'SIGKILL');
    } catch {
      // Nothing of it is left.
    }
    if (!isOver) await exited;
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

export class Tab {
  readonly #socket: WebSocket;
  readonly #open = new Map<number, (result: unknown) => void>();
  #nextId = 1;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data: Buffer) => {
      const { id, result } = JSON.parse(data.toString()) as { id?: number; result?: unknown };
      if (id === undefined) return;
      this.#open.get(id)?.(result);
      this.#open.delete(id);
    });
  }

  /** What the expression gives in the page, as JSON. */
  async evaluate(expression: string): Promise<unknown> {
    const id = this.#nextId++;
    const params = { expression, returnByValue: true, awaitPromise: true };
    const answered = new Promise<unknown>((resolve) => this.#open.set(id, resolve));
    this.#socket.send(JSON.stringify({ id, method: 'Runtime.evaluate', params }));
    const { result, exceptionDetails } = (await answered) as { result: { value?: unknown }; exceptionDetails?: object };
    if (exceptionDetails !== undefined) throw new Error(`the page threw: ${JSON.stringify(exceptionDetails)}`);
    return result.value;
  }
}
