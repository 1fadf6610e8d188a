/** A server under measurement: started, waited for until it says where it listens, stopped. */
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { startChild, stopChild } from './children.ts';

export interface ServerOptions {
  readonly name: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Our own servers have a channel to their parent; Fermata is started as anybody would. */
  readonly channel: boolean;
  /** False for a server that listens nowhere; true by default. */
  readonly address?: boolean;
}

const lifeMsMax = 30 * 60_000;
const readyMsMax = 20_000;
/** Lines kept to show why a server did not start. */
const linesKept = 20;

export class ServerProcess {
  readonly name: string;
  readonly pid: number;
  readonly host: string;
  readonly port: number;
  readonly #child: ChildProcess;

  /** @throws Error with the server's last lines when it ends or says nothing in time */
  static async start(options: ServerOptions): Promise<ServerProcess> {
    const child = startChild({ ...options, lifeMsMax });
    try {
      return new ServerProcess(options.name, child, await addressOf(options, child));
    } catch (error) {
      await stopChild(child);
      throw error;
    }
  }

  private constructor(name: string, child: ChildProcess, address: URL) {
    this.name = name;
    this.pid = child.pid!;
    this.host = address.hostname;
    this.port = Number(address.port);
    this.#child = child;
  }

  /** Settles with the exit code, null when it had to be killed. */
  async stop(): Promise<number | null> {
    await stopChild(this.#child);
    return this.#child.exitCode;
  }
}

/** The address in the log line that says `ready`. Reads on afterwards, so that the server never waits for its log. */
function addressOf({ name, address: listens = true }: ServerOptions, child: ChildProcess): Promise<URL> {
  const lines: string[] = [];
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => reject(new Error([`${name} ${why}`, ...lines].join('\n')));
    const timer = setTimeout(() => fail(`was not ready within ${readyMsMax} ms`), readyMsMax);
    child.once('exit', (code) => {
      clearTimeout(timer);
      fail(`ended with code ${code}`);
    });
    createInterface({ input: child.stdout! }).on('line', (line) => {
      if (lines.length === linesKept) lines.shift();
      lines.push(line);
      const address = readyAddress(line, listens);
      if (address === undefined) return;
      clearTimeout(timer);
      resolve(address);
    });
  });
}

function readyAddress(line: string, listens: boolean): URL | undefined {
  if (!line.includes('"msg":"ready"')) return undefined;
  if (!listens) return new URL('http://nowhere.invalid:1');
  const { address } = JSON.parse(line) as { address?: unknown };
  return typeof address === 'string' ? new URL(address) : undefined;
}
