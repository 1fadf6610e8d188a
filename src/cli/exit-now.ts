/**
 * The end of a process that does not wait for its stop: a forced one, a second signal, a thread that cannot be ended.
 *
 * exit() ends the threads first, and Node aborts (134) when a thread goes while uWebSockets still holds sockets. So the
 * gateways get a moment to let them go. When even that fails, the process kills itself: nothing acknowledged is lost.
 */
import { setTimeout as sleep } from 'node:timers/promises';

const letGoMsMax = 200;

export type ExitNow = (code: number) => Promise<void>;

/** `letGo` closes what must not be open when threads end. */
export function exitNow(letGo: () => Promise<void>): ExitNow {
  return async (code) => {
    const closed = letGo().then(
      () => true,
      () => true,
    );
    if (!(await Promise.race([closed, sleep(letGoMsMax, false)]))) process.kill(process.pid, 'SIGKILL');
    process.exit(code);
  };
}
