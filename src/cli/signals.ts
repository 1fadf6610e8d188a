/**
 * How a serving process ends: a signal starts the stop, a second one cuts it short, and a timer makes sure of the end.
 *
 * Exit codes: 0 stopped within the budget · 1 the stop was forced, or a part of it · 70 a thread had died · 130, 143 a
 * second SIGINT or SIGTERM. Whatever the way, nothing acknowledged is lost: it was on disk before it was acknowledged.
 */
import type { Lifecycle } from '../host/lifecycle.ts';
import type { Logger } from '../host/log.ts';
import type { ExitNow } from './exit-now.ts';
import { exitCodes } from './exit-codes.ts';

const signalExitCodes = { SIGINT: 130, SIGTERM: 143 } as const;

/** Starts the lifecycle, waits for what ends it, stops it. Settles with the exit code. @throws what the start threw */
export async function stopOnSignals(
  lifecycle: Lifecycle,
  died: Promise<number>,
  timeoutMs: number,
  log: Logger,
  exit: ExitNow,
): Promise<number> {
  const signal = new Promise<number>((resolve) => {
    let asked = false;
    for (const name of ['SIGINT', 'SIGTERM'] as const) {
      process.on(name, () => {
        if (asked) {
          log.warn({ signal: name }, 'second signal: exiting at once');
          void exit(signalExitCodes[name]);
          return;
        }
        asked = true;
        log.info({ signal: name, budgetMs: timeoutMs }, 'stopping');
        resolve(exitCodes.ok);
      });
    }
  });
  const started = lifecycle.start();
  // A signal during the start stops what had started; the start itself then just ends.
  const first = await Promise.race([started.then(() => undefined), signal, died]);
  const asked = first ?? (await Promise.race([signal, died]));
  const began = performance.now();
  const report = (exitCode: number) => ({
    ms: Math.round(performance.now() - began),
    exitCode,
    stepsMs: lifecycle.stopsMs,
  });
  const forced = setTimeout(() => {
    const fields = { timeoutMs, ...report(exitCodes.failed) };
    log.error(fields, 'the stop took too long and is forced; nothing acknowledged is lost');
    void exit(exitCodes.failed);
  }, timeoutMs);
  await lifecycle.stop();
  await started.catch(() => undefined);
  clearTimeout(forced);
  const exitCode = asked === exitCodes.ok && !lifecycle.clean ? exitCodes.failed : asked;
  log.info(report(exitCode), 'stopped');
  return exitCode;
}
