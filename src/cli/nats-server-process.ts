/**
 * One run of a managed nats-server, from its start to its death.
 *
 *   fermata ──stdin──▶ sh (session of its own) ──▶ nats-server
 *              │           └▶ reader of stdin: at its end, TERM and then KILL to nats-server
 *              └── closed by the kernel when fermata dies, also of kill -9
 *
 * Node cannot ask the kernel to end a child with its parent, so a shell watches the pipe. It has a session of its own:
 * Ctrl-C at the terminal reaches neither of them before we have stopped. The shell ends with nats-server; when somebody
 * ends the shell instead, we close the pipe and the reader still does its part.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsServerLog } from './nats-server-log.ts';

const readyMsMax = 60_000;
const greetingMsMax = 2000;
const greetingBytesMax = 32_768;

/** Prints the server's process id. Signals that a supervisor sends to everybody are for nats-server, not for it. */
const watcher = `
trap '' HUP INT TERM
exec 3<&0
"$@" </dev/null >&2 3<&- &
server=$!
echo "$server"
(
  read -r line <&3
  kill -TERM "$server"
  for second in 1 2 3; do
    sleep 1
    kill -0 "$server" || exit
  done
  kill -KILL "$server"
) >/dev/null 2>&1 &
reader=$!
wait "$server"
code=$?
kill -KILL "$reader"
exit "$code"
`;

export interface NatsServerRun {
  readonly bin: string;
  readonly configPath: string;
  readonly log: NatsServerLog;
}

export class NatsServerProcess {
  /** Settles with its exit code; 128 and more are signals, as the shell counts them. */
  readonly died: Promise<number>;
  readonly #watcher: ChildProcess;
  #pid: number | undefined;
  #dead = false;

  constructor({ bin, configPath, log }: NatsServerRun) {
    this.#watcher = spawn('/bin/sh', ['-c', watcher, 'fermata-nats-watcher', bin, '-c', configPath], {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    const { stdin, stdout, stderr } = this.#watcher;
    stdin!.on('error', () => undefined);
    stdout!.once('data', (line: Buffer) => {
      this.#pid = Number(line.toString().trim());
    });
    log.read(stderr!);
    this.died = new Promise((resolve) => {
      const settle = (code: number): void => {
        this.#dead = true;
        stdin!.destroy();
        resolve(code);
      };
      this.#watcher.once('error', () => settle(127));
      this.#watcher.once('exit', (code) => settle(code ?? 137));
    });
  }

  /** Of nats-server; undefined before it runs and after its end. */
  get pid(): number | undefined {
    return this.#dead ? undefined : this.#pid;
  }

  /** Settles with true when it answers by its name and has JetStream, with false when it died or takes too long. */
  async ready(host: string, port: number, serverName: string): Promise<boolean> {
    const untilMs = performance.now() + readyMsMax;
    while (!this.#dead && performance.now() < untilMs) {
      // Another server may have the port: then ours dies, and what answers has another name.
      const greeting = await greetingOf(host, port);
      if (greeting?.server_name === serverName && greeting.jetstream === true) return !this.#dead;
      await Promise.race([sleep(20), this.died]);
    }
    return false;
  }

  /**
   * Lame duck first, so that clients hear of it; then what is quicker. Settles when it has ended, with false when it had to
   * be killed.
   */
  async stop(msMax: number): Promise<boolean> {
    if (await this.#endedBy('SIGUSR2', msMax * 0.6)) return true;
    if (await this.#endedBy('SIGTERM', msMax * 0.3)) return true;
    this.#signal('SIGKILL');
    // Before it has a pid: the reader ends it.
    this.#watcher.stdin!.destroy();
    await this.died;
    return false;
  }

  async #endedBy(signal: NodeJS.Signals, msMax: number): Promise<boolean> {
    this.#signal(signal);
    const cancel = new AbortController();
    const late = sleep(msMax, false, { signal: cancel.signal }).catch(() => false);
    const ended = await Promise.race([this.died.then(() => true), late]);
    cancel.abort();
    return ended;
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.pid === undefined) return;
    try {
      process.kill(this.pid, signal);
    } catch {
      // It has ended in this moment.
    }
  }
}

interface Greeting {
  readonly server_name?: unknown;
  readonly jetstream?: unknown;
}

/** A NATS server speaks first: `INFO {…}`. */
function greetingOf(host: string, port: number): Promise<Greeting | undefined> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ host, port });
    const settle = (greeting: Greeting | undefined): void => {
      socket.destroy();
      resolve(greeting);
    };
    socket.setTimeout(greetingMsMax, () => settle(undefined));
    socket.on('error', () => settle(undefined));
    socket.on('end', () => settle(undefined));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (text.includes('\n')) settle(parseGreeting(text));
      else if (text.length > greetingBytesMax) settle(undefined);
    });
  });
}

function parseGreeting(text: string): Greeting | undefined {
  try {
    const value: unknown = JSON.parse(text.slice(text.indexOf('{'), text.indexOf('\n')));
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
