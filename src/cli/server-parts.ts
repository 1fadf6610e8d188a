/** What the sides of a server share: who it is, what it was told, and how it is told to end. */
import type { Config } from '../host/config.ts';
import type { Logger, LogOptions } from '../host/log.ts';
import type { Phase } from '../host/phase.ts';
import type { Thread } from '../host/thread.ts';
import type { Restarts } from './restarts.ts';

/** Which sides a process has. Both, or one of them and NATS between. */
export interface Sides {
  /** It owns sockets. */
  readonly sockets: boolean;
  /** It runs actors and keeps their data. */
  readonly data: boolean;
}

export interface ServerParts {
  readonly config: Config;
  readonly log: Logger;
  /** For threads, which make their own. */
  readonly logOptions: LogOptions;
  readonly phase: Phase;
  readonly restarts: Restarts;
  /** Names this run of the process. */
  readonly boot: string;
  readonly stopping: () => boolean;
  /** The process cannot go on, and is to be started again. */
  readonly reportDeath: (exitCode: number) => void;
}

/** The threads that hand calls to shards: gateways, or the bridge to gateways of other processes. */
export interface Fronts {
  /** As they are now, by number. */
  readonly threads: readonly Thread[];
  /** Asks all of them; one that is dead answers nothing. */
  ask<T = void>(question: string, argument?: unknown): Promise<(T | undefined)[]>;
}

/** Without this thread nothing goes on, so the process ends and is to be started again. */
export function watchVital(thread: Thread, { log, stopping, reportDeath }: ServerParts, exitCode: number): Thread {
  void thread.died.then(({ code, error }) => {
    if (stopping()) return;
    log.fatal({ about: thread.name, code, err: error }, 'a thread died; the process stops and should be started again');
    reportDeath(exitCode);
  });
  return thread;
}
