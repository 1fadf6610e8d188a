/**
 * The thread in which bases are verified, one at a time: a file of gigabytes must hold up nobody. It starts with the first
 * base, and ends when there was none for a while.
 *
 * Errors lose their class between threads, so that findings come as values (workers/verify.ts) and become errors here.
 */
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { DamagedBackupError, RestoreRefusal } from './errors.ts';
import type { Manifest } from './manifest.ts';
import type { BaseFacts } from './verify.ts';
import type { VerifyAnswer, VerifyTask } from './verify-task.ts';

const idleMsMax = 10_000;

export class VerifyPool {
  readonly #piscina: Piscina;

  constructor() {
    // From a checkout the entries are .ts and run as they are; in a built package both are .js.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    this.#piscina = new Piscina({
      filename: fileURLToPath(new URL(`../../workers/verify.${extension}`, import.meta.url)),
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: idleMsMax,
      // A task is seconds of work: nothing is gained by waiting for the next one without the event loop.
      atomics: 'disabled',
      execArgv: [],
    });
  }

  /** As verifyBase. @throws DamagedBackupError, RestoreRefusal; Error when it could not be tried */
  async verify(path: string, tenant: string, manifest?: Manifest, name = path): Promise<BaseFacts> {
    const task: VerifyTask = { path, tenant, manifest, name };
    const answer = (await this.#piscina.run(task)) as VerifyAnswer;
    if (answer.kind === 'facts') return answer.facts;
    if (answer.kind === 'refused') throw new RestoreRefusal(answer.message);
    throw new DamagedBackupError(answer.object, answer.problem);
  }

  /** Once what was begun is done. */
  async close(): Promise<void> {
    await this.#piscina.close();
  }
}
