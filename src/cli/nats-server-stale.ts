/**
 * A nats-server that a former run left behind. It dies with its parent, but takes a moment, and a supervisor may start us
 * anew at once: two on one store would damage it.
 *
 * `nats.pid` says who ran last. That process is ended only when its command line names our configuration file. Any other
 * nats-server is somebody's own affair and we refuse to start; any other program has got the number by chance.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../host/log.ts';
import { CommandError } from './command-error.ts';
import { exitCodes } from './exit-codes.ts';
import type { NatsFolder } from './nats-server-folder.ts';

const termMsMax = 3000;
const killMsMax = 3000;

/** Settles when nobody is left. @throws CommandError when it is not ours, or cannot be ended */
export async function endStaleServer({ configPath, pidPath, path }: NatsFolder, log: Logger): Promise<void> {
  const pid = pidIn(pidPath);
  const command = pid === undefined ? undefined : commandOf(pid);
  if (pid === undefined || command === undefined) return;
  if (!command.includes(configPath)) {
    if (!basename(command[0] ?? '').startsWith('nats-server')) return;
    throw new CommandError(`another nats-server, process ${pid}, seems to use the store in ${path}`, {
      exitCode: exitCodes.dataDirUnavailable,
      hint: `It was not started by fermata. Stop it, or delete ${pidPath} if it has another store.`,
    });
  }
  log.warn({ pid }, 'a nats-server of a former run is still there; it is ended');
  const isThere = (): boolean => commandOf(pid)?.includes(configPath) === true;
  for (const [signal, msMax] of [
    ['SIGTERM', termMsMax],
    ['SIGKILL', killMsMax],
  ] as const) {
    if (await ended(pid, signal, msMax, isThere)) return;
  }
  throw new CommandError(`the nats-server of a former run, process ${pid}, cannot be ended`, {
    exitCode: exitCodes.dataDirUnavailable,
    hint: 'End it by hand; it uses the same store.',
  });
}

async function ended(pid: number, signal: NodeJS.Signals, msMax: number, isThere: () => boolean): Promise<boolean> {
  const untilMs = performance.now() + msMax;
  if (isThere()) {
    try {
      process.kill(pid, signal);
    } catch {
      // Gone in this moment, or not ours to end: the wait tells.
    }
  }
  while (isThere()) {
    if (performance.now() > untilMs) return false;
    await sleep(20);
  }
  return true;
}

function pidIn(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, 'utf8').trim());
    return Number.isSafeInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Program and arguments; undefined when it is gone, or dead and only not yet waited for. */
function commandOf(pid: number): readonly string[] | undefined {
  try {
    const text = existsSync('/proc/self/cmdline')
      ? readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      : execFileSync('ps', ['-ww', '-o', 'args=', '-p', String(pid)], { encoding: 'utf8' })
          .trim()
          .replaceAll(' ', '\0');
    return text === '' ? undefined : text.split('\0');
  } catch {
    return undefined;
  }
}
