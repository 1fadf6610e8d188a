/**
 * The real nginx with the shipped nginx.conf, in which only places are replaced: ports, paths, the server behind it. A
 * replacement that does not fit exactly as often as it should is an error, so that the file cannot drift from the tests.
 *
 * nginx stays in the foreground and dies with this process at the latest. Its logs and its certificate, made by openssl,
 * lie in the directory that it is given.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { needs } from './needs.ts';
import { root } from './server.ts';
import { freePort, type Stage } from './stage.ts';
import { eventually } from './wait.ts';

export interface Replacement {
  readonly from: string;
  readonly to: string;
  /** How often `from` stands in the file. Default 1. */
  readonly times?: number;
}

export interface NginxOptions {
  /** Host and port of each server behind it; the file has places for two. */
  readonly upstreams: readonly [first: string, second?: string];
  /** What else differs from the shipped file. */
  readonly replacements?: readonly Replacement[];
}

const running = new Set<ChildProcess>();

process.on('exit', () => {
  for (const child of running) end(child);
});

export const shippedConfig = readFileSync(join(root, 'nginx.conf'), 'utf8');

export class Nginx {
  /** `https://127.0.0.1:<port>`. */
  readonly address: string;
  /** `http://127.0.0.1:<port>`: the port that only redirects. */
  readonly plainAddress: string;
  readonly ca: string;
  readonly pid: number;
  readonly #directory: string;

  private constructor(directory: string, child: ChildProcess, ports: { readonly tls: string; readonly plain: string }) {
    this.#directory = directory;
    this.pid = child.pid!;
    this.address = `https://127.0.0.1:${ports.tls}`;
    this.plainAddress = `http://127.0.0.1:${ports.plain}`;
    this.ca = readFileSync(join(directory, 'fermata.crt'), 'utf8');
  }

  /** Ends with the stage. @throws Error with nginx's own words when it does not start */
  static async start(stage: Stage, { upstreams, replacements = [] }: NginxOptions): Promise<Nginx> {
    const directory = stage.dataDir();
    const ports = { tls: await freePort(), plain: await freePort() };
    makeCertificate(directory);
    const config = substitute(shippedConfig, [...places(directory, ports, upstreams), ...replacements]);
    const file = join(directory, 'nginx.conf');
    writeFileSync(file, config);
    // Until it has read its configuration it writes errors to this file, which comes with the command.
    const words = ['-c', file, '-e', join(directory, 'error.log'), '-g', 'daemon off;'];
    const child = spawn(needs('nginx'), words, { stdio: 'ignore' });
    running.add(child);
    const exited = once(child, 'exit').then(() => running.delete(child));
    stage.atEnd(() => end(child));
    const nginx = new Nginx(directory, child, ports);
    const ended = exited.then(() => {
      throw new Error(`nginx ended:\n${nginx.errorLog}`);
    });
    ended.catch(() => {});
    await Promise.race([eventually('workers of nginx', () => nginx.workers.length > 0), ended]);
    return nginx;
  }

  /** Process ids, those included that only wait for their last connections to end. */
  get workers(): number[] {
    return workersOf(this.pid);
  }

  get accessLog(): string {
    return textOf(join(this.#directory, 'access.log'));
  }

  get errorLog(): string {
    return textOf(join(this.#directory, 'error.log'));
  }

  /** `nginx -s reload`; settles when new workers are there. The old ones may be there for a while. */
  async reload(): Promise<{ readonly oldWorkers: readonly number[] }> {
    const oldWorkers = this.workers;
    execFileSync(needs('nginx'), ['-c', join(this.#directory, 'nginx.conf'), '-s', 'reload'], { stdio: 'ignore' });
    await eventually('new workers of nginx', () => this.workers.some((pid) => !oldWorkers.includes(pid)));
    return { oldWorkers };
  }

  /** A WebSocket class that trusts this nginx alone, for the project's client. */
  get WebSocket() {
    const { ca } = this;
    return class TrustingWebSocket extends WebSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols, { ca });
      }
    };
  }
}

/** @throws Error naming what does not stand in the text as often as it should */
export function substitute(text: string, replacements: readonly Replacement[]): string {
  return replacements.reduce((before, { from, to, times = 1 }) => {
    const parts = before.split(from);
    if (parts.length - 1 !== times)
      throw new Error(`nginx.conf has "${from}" ${parts.length - 1} times, the tests expect ${times}`);
    return parts.join(to);
  }, text);
}

function places(
  directory: string,
  ports: { readonly tls: string; readonly plain: string },
  [first, second]: NginxOptions['upstreams'],
): Replacement[] {
  // Debian's own folders for these can be written by root only.
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${directory}/${kind};`,
  );
  return [
    { from: '\nhttp {\n', to: `\nhttp {\n${temporary.join('\n')}\n` },
    { from: '/run/nginx.pid', to: join(directory, 'nginx.pid') },
    { from: '/etc/nginx/tls/', to: `${directory}/`, times: 2 },
    { from: '/var/log/nginx/', to: `${directory}/`, times: 2 },
    { from: ' listen 80 ', to: ` listen 127.0.0.1:${ports.plain} ` },
    { from: ' listen 443 ', to: ` listen 127.0.0.1:${ports.tls} ` },
    { from: ' server 127.0.0.1:8080 ', to: ` server ${first} ` },
    ...(second === undefined ? [] : [{ from: '# server 127.0.0.1:8081 ', to: `server ${second} ` }]),
  ];
}

function makeCertificate(directory: string): void {
  mkdirSync(directory, { recursive: true });
  const files = ['-keyout', join(directory, 'fermata.key'), '-out', join(directory, 'fermata.crt')];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  execFileSync(needs('openssl'), ['req', '-x509', ...kind, ...files, ...names], { stdio: 'ignore' });
}

function workersOf(pid: number): number[] {
  return textOf(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number);
}

/** The master's death leaves its workers. */
function end(child: ChildProcess): void {
  const workers = workersOf(child.pid!);
  child.kill('SIGKILL');
  for (const pid of workers) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
