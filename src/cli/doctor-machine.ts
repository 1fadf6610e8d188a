/** Is this machine, with this Node and these native packages, fit for the configuration? */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../host/config.ts';
import { fail, ok, reason, warn, type Finding } from './doctor-finding.ts';

export async function machineFindings(config: Config): Promise<Finding[]> {
  return [
    judgeNode(process.versions.node),
    await sqlite(),
    await uWebSockets(),
    judgeCores(availableParallelism(), config),
    judgeOpenFiles(openFilesMax(), config),
    judgeClock(Date.now()),
    container(),
    ...(await ports(config)),
  ];
}

export function judgeNode(version: string): Finding {
  if (!isAtLeast(version, [22, 18, 0])) return fail('Node', `${version} is too old`, 'Install Node 22.18 or newer.');
  const major = Number(version.split('.')[0]);
  // The native packages are built per Node version; odd ones never get a build.
  if (major % 2 === 1) return warn('Node', `${version} is no long-term version`, 'Use Node 22 LTS.');
  return ok('Node', version);
}

/** Makes a file by the server's own rules, so that what refuses there refuses here. */
async function sqlite(): Promise<Finding> {
  const folder = mkdtempSync(join(tmpdir(), 'fermata-doctor-'));
  try {
    const { createDatabase, openDatabase } = await import('../storage/sqlite.ts');
    const path = join(folder, 'probe.db');
    createDatabase(path, () => {});
    const db = openDatabase(path);
    const version = String(db.prepare('SELECT sqlite_version()').pluck().get());
    db.close();
    return ok('SQLite', version);
  } catch (error) {
    return fail('SQLite', reason(error), 'Install the packages again, on this machine and with this Node: npm ci');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function uWebSockets(): Promise<Finding> {
  try {
    await import('uWebSockets.js');
    return ok('uWebSockets.js', `loads on ${process.platform} ${process.arch}`);
  } catch (error) {
    const message = `does not load: ${reason(error).split('\n')[0]}`;
    return fail(
      'uWebSockets.js',
      message,
      'It needs Node 22 and, on Linux, glibc 2.27 or newer (Alpine has none: use a Debian image).',
    );
  }
}

export function judgeCores(cores: number, config: Config): Finding {
  const threads = config.shards + config.gateways;
  const message = `${cores}, for SHARDS=${config.shards} and GATEWAYS=${config.gateways}`;
  if (threads <= cores + 1) return ok('cores', message);
  return warn('cores', message, 'More busy threads than cores only take turns: lower SHARDS or GATEWAYS.');
}

/** The soft limit of this process, which Node raises to the hard one at start; undefined where there is none. */
function openFilesMax(): number | undefined {
  const report = process.report.getReport() as { userLimits?: { open_files?: { soft?: unknown } } };
  const soft = report.userLimits?.open_files?.soft;
  return typeof soft === 'number' ? soft : undefined;
}

export function judgeOpenFiles(limit: number | undefined, config: Config): Finding {
  const check = 'open files';
  // A socket takes one; a SQLite file takes four, with its log, index and mark; the rest is what Node itself holds.
  const needed =
    config.gateways * config.limits.socketsMax + 4 * (config.limits.tenantFilesOpenMax + config.shards) + 100;
  if (limit === undefined || limit >= needed) return ok(check, `${limit ?? 'no'} limit, up to ${needed} used`);
  const sockets = Math.max(
    1,
    Math.floor((limit - (needed - config.gateways * config.limits.socketsMax)) / config.gateways),
  );
  const message = `${limit} allowed, but ${config.limits.socketsMax} sockets per gateway may need ${needed}`;
  return warn(
    check,
    message,
    `Raise it (ulimit -n, LimitNOFILE=, --ulimit nofile=), or lower the bound: --limit socketsMax=${sockets}`,
  );
}

export function judgeClock(nowMs: number): Finding {
  const date = Number.isFinite(nowMs) ? new Date(nowMs).toISOString() : 'unknown';
  const year = Number(date.slice(0, 4));
  if (year >= 2025 && year < 2100) return ok('clock', date);
  return fail('clock', `it is not ${date}`, 'Tokens are judged by the clock: set it, best by NTP.');
}

function container(): Finding {
  const inside = existsSync('/.dockerenv') || existsSync('/run/.containerenv');
  return judgeContainer(inside, process.pid);
}

/** In a container SIGTERM reaches process 1 only: a shell there keeps it to itself and the stop is never clean. */
export function judgeContainer(inside: boolean, pid: number): Finding {
  const check = 'container';
  if (!inside) return ok(check, 'none');
  if (pid === 1) return ok(check, 'this is its process 1, so SIGTERM arrives; give it 15 s to stop');
  return ok(
    check,
    'inside one: start fermata as process 1 (exec form, no shell) or with an init, and give it 15 s to stop',
  );
}

async function ports(config: Config): Promise<Finding[]> {
  const wanted: [string, number][] = [[config.host, config.port]];
  if (config.adminPort !== undefined) wanted.push([config.adminHost, config.adminPort]);
  return await Promise.all(wanted.map(([host, port]) => portFinding(host, port)));
}

export async function portFinding(host: string, port: number): Promise<Finding> {
  const check = `port ${port}`;
  const code = await new Promise<string | undefined>((resolve) => {
    const probe = createServer();
    probe.once('error', (error) => resolve('code' in error ? String(error.code) : error.message));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(undefined)));
  });
  if (code === undefined) return ok(check, port === 0 ? 'a free one is taken at start' : `free on ${host}`);
  if (code === 'EADDRINUSE')
    return warn(
      check,
      `in use on ${host}`,
      'Fine if that is your running server; else choose another with --port or PORT.',
    );
  if (code === 'EACCES')
    return fail(
      check,
      `this user may not listen on it`,
      'Ports below 1024 are for root: choose another and put a proxy in front.',
    );
  return fail(check, `cannot listen on ${host}: ${code}`, 'Choose an address of this machine with --host or HOST.');
}

function isAtLeast(version: string, least: readonly number[]): boolean {
  const parts = version.split('.').map((part) => Number.parseInt(part, 10));
  for (const [index, wanted] of least.entries()) {
    const part = parts[index] ?? 0;
    if (part !== wanted) return part > wanted;
  }
  return true;
}
