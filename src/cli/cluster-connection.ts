/**
 * A connection to NATS for commands that look at a cluster, or change something in it, and end.
 *
 * Where it goes is said by `NATS_URL` and its companions, as for gateways and runtimes. Without it a managed nats-server is
 * looked for: `$DATA_DIR/nats/nats.conf` says where it listens and how to get in.
 */
import { loadConfig } from '../host/config-load.ts';
import { natsClientNames } from '../host/config-nats-settings.ts';
import type { SettingName } from '../host/config-settings.ts';
import type { Config, NatsConfig } from '../host/config.ts';
import { createLog } from '../host/log.ts';
import type { connectNats } from '../transport/nats-connection.ts';
import { CommandError } from './command-error.ts';
import type { Invocation } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { managedNatsIn } from './nats-server-config.ts';
import { startError } from './start-error.ts';

export type NatsClient = Awaited<ReturnType<typeof connectNats>>;

/** What the work gets. */
export interface ClusterConnection {
  readonly nc: NatsClient;
  readonly nats: NatsConfig;
  readonly config: Config;
}

/** Settings of every command that uses it. */
export const connectionSettings = [
  'NATS_URL',
  ...natsClientNames,
  'DATA_DIR',
  'LOG_LEVEL',
] as const satisfies SettingName[];

/**
 * Connects, does the work, and closes. @throws ConfigError; CommandError with `natsUnavailable` when NATS cannot be reached or
 * the work fails
 */
export async function withCluster<T>(
  invocation: Invocation,
  work: (connection: ClusterConnection) => Promise<T>,
): Promise<T> {
  const { config } = loadConfig(invocation, { names: connectionSettings });
  const nats = config.nats ?? managed(config.dataDir);
  if (nats === undefined) {
    throw new CommandError('no NATS is named, and none is managed by a server with this data directory', {
      exitCode: exitCodes.config,
      hint: `Set NATS_URL or --nats-url, or name the data directory of "serve --nats managed" with --data-dir (it is ${config.dataDir}).`,
    });
  }
  let nc: NatsClient;
  try {
    const { connectNats } = await import('../transport/nats-connection.ts');
    // The command's own lines say what matters.
    nc = await connectNats(nats, {
      name: 'fermata-command',
      log: createLog({ level: 'silent', pretty: false }, 'main'),
    });
  } catch (error) {
    throw startError(error, exitCodes.natsUnavailable);
  }
  try {
    return await work({ nc, nats, config });
  } catch (error) {
    throw told(error);
  } finally {
    await nc.close();
  }
}

/** What NATS or a node says is for people; a fault of ours stays one. */
function told(error: unknown): unknown {
  const isOurs = error instanceof TypeError || error instanceof RangeError || !(error instanceof Error);
  if (isOurs || error instanceof CommandError) return error;
  const code = 'code' in error ? String(error.code) : '';
  if (code !== 'TIMEOUT' && code !== '503') return startError(error, exitCodes.natsUnavailable);
  return new CommandError('NATS does not answer', {
    exitCode: exitCodes.natsUnavailable,
    hint: 'Is JetStream on (nats-server -js), may this user use it, and does the cluster have a majority?',
    cause: error,
  });
}

function managed(dataDir: string): NatsConfig | undefined {
  try {
    return managedNatsIn(dataDir);
  } catch (error) {
    throw startError(error, exitCodes.natsUnavailable);
  }
}
