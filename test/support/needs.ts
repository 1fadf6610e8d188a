/**
 * Programs that a few tests need beside Node: strace and a C compiler to make a disk misbehave, a browser, nginx, nats-server. They are
 * looked for, installed from Debian's packages where that is possible, and otherwise the test fails with what to do: a test
 * that is skipped proves nothing.
 */
import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Debian's package of each. */
const packages = {
  strace: 'strace',
  gcc: 'gcc',
  chromium: 'chromium',
  nginx: 'nginx',
  openssl: 'openssl',
  'nats-server': 'nats-server',
} as const;

const installMsMax = 240_000;
/** Another file of tests may be installing at the same moment. */
const patiently = ['-o', 'DPkg::Lock::Timeout=200'];

/** The program's path. @throws Error that says how to install it */
export function needs(program: keyof typeof packages): string {
  const found = find(program);
  if (found !== undefined) return found;
  const name = packages[program];
  try {
    execFileSync('apt-get', ['update'], { stdio: 'ignore', timeout: installMsMax });
    // At run level 1 Debian's packages do not start what they install: nobody wants an nginx on port 80 for a test.
    const env = { ...process.env, RUNLEVEL: '1', DEBIAN_FRONTEND: 'noninteractive' };
    execFileSync('apt-get', ['install', '-y', ...patiently, name], { stdio: 'ignore', timeout: installMsMax, env });
  } catch {
    // Told below: no right to install, no network, or another system.
  }
  const installed = find(program);
  if (installed !== undefined) return installed;
  throw new Error(`this test needs ${program}: apt-get install -y ${name}`);
}

function find(program: string): string | undefined {
  // Debian puts servers where only root's PATH leads.
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin'];
  return directories.map((directory) => join(directory, program)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
