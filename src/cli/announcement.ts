/**
 * What a person sees when the server is up: where it is and, in development, a token and one call to try.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../host/config.ts';
import type { Logger } from '../host/log.ts';
import { readOrCreateDevSecret } from './dev-secret.ts';
import { devRootOf } from './gateways.ts';
import { mintToken } from '../gateway/auth-mint.ts';
import type { LoadedType } from '../runtime/shard-thread.ts';

const devTokenTtlS = 12 * 60 * 60;

export async function announceReady(
  config: Config,
  port: number,
  log: Logger,
  sample: LoadedType | undefined,
): Promise<void> {
  const host = config.host.includes(':') ? `[${config.host}]` : config.host;
  const address = `http://${host}:${port}`;
  const { shards, gateways, dataDir, dev } = config;
  if (dev) {
    log.warn(
      'DEVELOPMENT MODE: calls without a token are let in as tenant "dev". It listens on loopback only; never put a proxy in front of it',
    );
    const token = await mintToken(config.auth, config.auth.secret ?? readOrCreateDevSecret(dataDir), {
      tenant: 'dev',
      sub: 'you',
      ttlS: devTokenTtlS,
      claims: {},
    });
    process.stdout.write(tryIt(address, token, existsSync(join(devRootOf(config.app), 'index.html')), sample));
  }
  log.info({ address, shards, gateways, dataDir, dev }, 'ready');
}

/** A runtime has no address of its own: it is found through NATS. */
export function announceRuntime({ shards, dataDir }: Config, log: Logger): void {
  log.info({ shards, dataDir }, 'ready');
}

function tryIt(address: string, token: string, page: boolean, sample: LoadedType | undefined): string {
  const { type = '<actor>', method = '<method>', takesInput = true } = sample ?? {};
  const open = page ? 'Open it in two browser tabs to see them share state. Or call an actor:' : 'Call an actor:';
  return `
  Fermata serves ${address}

  ${open}

    curl -X POST ${address}/v1/actors/${type}/a1/${method} \\
      -H "Authorization: Bearer $TOKEN"${takesInput ? " -d '<its input as JSON>'" : ''}

  with this token (tenant dev, user you, 12 hours; in development calls without one work too):

    TOKEN=${token}

`;
}
