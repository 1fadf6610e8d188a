/** Waits for what no event announces: files, states of other processes. Asks again every few milliseconds. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Settles with the first value that is neither undefined nor false. @throws Error naming what was waited for */
export async function eventually<T>(
  what: string,
  ask: () => T | Promise<T>,
  msMax = 10_000,
): Promise<Exclude<T, undefined | false>> {
  const deadlineMs = performance.now() + msMax;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer as Exclude<T, undefined | false>;
    if (performance.now() > deadlineMs) throw new Error(`${what}: not within ${msMax} ms`);
    await sleep(20);
  }
}
