/** The admin port of a server: what it says, and of whom it asks. */
import type { BackupHealth } from '../backup/schedule.ts';
import type { Config } from '../host/config.ts';
import type { Sample } from '../host/meters.ts';
import type { Phase } from '../host/phase.ts';
import type { Thread } from '../host/thread.ts';
import { startAdmin } from './admin.ts';
import { Metrics } from './metrics.ts';
import type { Restarts } from './restarts.ts';
import { serverSamples } from './server-samples.ts';

export interface ServerAdminParts {
  readonly phase: Phase;
  readonly threads: () => readonly Thread[];
  readonly restarts: Restarts;
  /** Calls that are refused because they ended their shard too often. */
  readonly quarantinedCalls: () => number;
  /** Undefined when the server makes no backups by itself. */
  readonly backup: () => BackupHealth | undefined;
  /** None in one process alone. */
  readonly ofNats: () => readonly Sample[];
}

/** Settles with the function that closes it; there is none when no port was given. @throws as startAdmin */
export async function startServerAdmin(config: Config, parts: ServerAdminParts): Promise<(() => void) | undefined> {
  const { adminHost: host, adminPort: port, dataDir } = config;
  if (port === undefined) return undefined;
  const { phase, threads, restarts, quarantinedCalls, backup, ofNats } = parts;
  const own = async () => [
    ...(await serverSamples({ dataDir, phase, quarantinedCalls: quarantinedCalls(), backup: backup() })),
    restarts.sample(),
    ...ofNats(),
  ];
  const details = (): object => {
    const health = backup();
    return health === undefined ? {} : { backup: health };
  };
  return await startAdmin({ host, port, phase, details, metrics: new Metrics({ threads, own }) });
}
