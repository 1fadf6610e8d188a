/**
 * The load generator's process: takes one job from its parent, does it, answers, ends. It ends with its parent too.
 */
import { runCalls } from './call-load.ts';
import { runFanOut } from './fan-out-load.ts';
import type { LoadJob } from './load-job.ts';

process.once('disconnect', () => process.exit(1));
process.once('message', (job: LoadJob) => {
  const ended = job.kind === 'calls' ? runCalls(job) : runFanOut(job);
  ended.then(
    (result) => answer({ result }),
    (error: unknown) => answer({ failure: error instanceof Error ? error.message : String(error) }),
  );
});

function answer(message: object): void {
  process.send?.(message, () => process.exit(0));
}
