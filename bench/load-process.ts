/** The load generator as seen by its parent: a fresh process per run, with a bound on its life. */
import { join } from 'node:path';
import { startChild, stopChild } from './children.ts';
import type { LoadJob, LoadResult } from './load-job.ts';

/** Start, connecting, first calls, and the answers that are still to come at the end. */
const beyondWindowMsMax = 60_000;

/** @throws Error when the job could not be done */
export async function runLoad(job: LoadJob): Promise<LoadResult> {
  const lifeMsMax = job.window.warmUpMs + job.window.measureMs + beyondWindowMsMax;
  const child = startChild({ args: [join(import.meta.dirname, 'load.ts')], channel: true, lifeMsMax });
  child.stdout?.resume();
  try {
    return await new Promise<LoadResult>((resolve, reject) => {
      child.once('message', (message: { result?: LoadResult; failure?: string }) => {
        if (message.result !== undefined) resolve(message.result);
        else reject(new Error(`the load generator failed: ${message.failure}`));
      });
      child.once('exit', (code, signal) => reject(new Error(`the load generator ended with ${code ?? signal}`)));
      child.send(job);
    });
  } finally {
    await stopChild(child);
  }
}
