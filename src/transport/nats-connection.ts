/**
 * The connection to NATS: credentials, TLS, patience. Each thread that speaks with NATS has its own.
 *
 * The first connect fails at once and says what was tried and what to do, because then a setting is wrong more often than a
 * server is down. Later it comes back for ever, with jitter; links hear of it through `nats-status.ts`. A dead peer is noticed
 * within about five seconds by pings. No credential is ever logged, also none that stands in an address.
 */
import { readFileSync } from 'node:fs';
import {
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  Events,
  type NatsConnection,
  nkeyAuthenticator,
} from 'nats';
import type { NatsConfig } from '../host/config.ts';
import { LogGate } from '../host/log-gate.ts';
import type { Logger } from '../host/log.ts';

export interface ConnectParts {
  /** What the connection is called in the server's lists. */
  readonly name: string;
  readonly log: Logger;
}

export class NatsConnectError extends Error {
  override readonly name = 'NatsConnectError';
  readonly hint: string;

  constructor(message: string, hint: string, cause: unknown) {
    super(`${message}. ${hint}`, { cause });
    this.hint = hint;
  }
}

/** @throws NatsConnectError when no server could be reached, or it refused us */
export async function connectNats(config: NatsConfig, { name, log }: ConnectParts): Promise<NatsConnection> {
  const servers = config.servers.map(withoutCredentials);
  let nc: NatsConnection;
  try {
    nc = await connect(options(config, name));
  } catch (error) {
    const { reason, hint } = explain(error, config);
    throw new NatsConnectError(`no connection to NATS at ${servers.join(', ')}: ${reason}`, hint, error);
  }
  void logChanges(nc, log);
  return nc;
}

/** An address as it may be shown. */
export function withoutCredentials(server: string): string {
  return server.replace(/^([a-z+]+:\/\/)?.*@/i, '$1');
}

function options(config: NatsConfig, name: string): ConnectionOptions {
  const { user, password, token, credsFile, nkeyFile } = config;
  const inAddress = credentialsOf(config.servers);
  const authenticator =
    credsFile !== undefined
      ? credsAuthenticator(readFileSync(credsFile))
      : nkeyFile !== undefined
        ? nkeyAuthenticator(Buffer.from(readFileSync(nkeyFile, 'utf8').trim()))
        : undefined;
  return {
    name,
    servers: config.servers.map(withoutCredentials),
    ...inAddress,
    ...(user === undefined ? {} : { user, pass: password ?? '' }),
    ...(token === undefined ? {} : { token }),
    ...(authenticator === undefined ? {} : { authenticator }),
    ...tlsOptions(config),
    timeout: 5000,
    pingInterval: 2000,
    maxPingOut: 2,
    reconnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 250,
    reconnectJitterTLS: 500,
    // Credentials may be set right again on the server's side: trying is all that helps then.
    ignoreAuthErrorAbort: true,
    waitOnFirstConnect: false,
    noAsyncTraces: true,
  };
}

/** `nats://user:password@host` and `nats://token@host`. */
function credentialsOf(servers: readonly string[]): Pick<ConnectionOptions, 'user' | 'pass' | 'token'> {
  for (const server of servers) {
    const [, info] = /^(?:[a-z+]+:\/\/)?(.*)@/i.exec(server) ?? [];
    if (info === undefined) continue;
    const colon = info.indexOf(':');
    if (colon < 0) return { token: decodeURIComponent(info) };
    return { user: decodeURIComponent(info.slice(0, colon)), pass: decodeURIComponent(info.slice(colon + 1)) };
  }
  return {};
}

function tlsOptions({ servers, tlsCaFile, tlsCertFile, tlsKeyFile }: NatsConfig): Pick<ConnectionOptions, 'tls'> {
  const files = {
    ...(tlsCaFile === undefined ? {} : { caFile: tlsCaFile }),
    ...(tlsCertFile === undefined ? {} : { certFile: tlsCertFile }),
    ...(tlsKeyFile === undefined ? {} : { keyFile: tlsKeyFile }),
  };
  const wanted = Object.keys(files).length > 0 || servers.some((server) => server.startsWith('tls://'));
  return wanted ? { tls: files } : {};
}

function explain(error: unknown, config: NatsConfig): { reason: string; hint: string } {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const message = error instanceof Error ? error.message : String(error);
  switch (code) {
    case 'AUTHORIZATION_VIOLATION':
    case 'BAD_AUTHENTICATION':
    case 'AUTHENTICATION_EXPIRED':
    case 'ACCOUNT_EXPIRED':
      return {
        reason: `the server refused ${credentialsTried(config)}`,
        hint: 'Set the user and password, token, creds file or nkey file that the server knows',
      };
    case 'BAD_CREDS':
      return { reason: 'the creds file is none', hint: 'Name the file that `nsc generate creds` wrote' };
    case 'ENOENT':
    case 'EACCES':
      return { reason: message, hint: 'Name a file that this process may read' };
    case 'SERVER_OPT_NA':
      return {
        reason: 'the server offers no TLS',
        hint: 'Leave out the TLS files and tls://, or turn TLS on in the server',
      };
    case 'CONNECTION_REFUSED':
    case 'CONNECTION_TIMEOUT':
    case 'TIMEOUT':
    case 'ENOTFOUND':
      return { reason: 'nobody answers there', hint: 'Start nats-server with -js there, or correct the address' };
    default:
      return { reason: message, hint: 'Look at address, credentials and TLS files, and at the log of nats-server' };
  }
}

function credentialsTried({ user, token, credsFile, nkeyFile, servers }: NatsConfig): string {
  if (credsFile !== undefined) return 'the creds file';
  if (nkeyFile !== undefined) return 'the nkey';
  if (token !== undefined) return 'the token';
  if (user !== undefined) return 'the user and password';
  return servers.some((server) => server.includes('@'))
    ? 'the credentials in the address'
    : 'a connection without credentials';
}

async function logChanges(nc: NatsConnection, log: Logger): Promise<void> {
  const gate = new LogGate(log, () => performance.now());
  for await (const status of nc.status()) {
    const data = typeof status.data === 'string' ? withoutCredentials(status.data) : status.data;
    if (status.type === Events.Disconnect)
      gate.write('disconnect', 'warn', { server: data }, 'the connection to NATS is lost');
    else if (status.type === Events.Reconnect)
      gate.write('reconnect', 'info', { server: data }, 'connected to NATS again');
    else if (status.type === Events.LDM) gate.write('ldm', 'info', { server: data }, 'the NATS server will stop soon');
    else if (status.type === Events.Error) {
      const { operation, subject } = status.permissionContext ?? {};
      const denied = operation === undefined ? {} : { operation, subject };
      gate.write('error', 'error', { code: data, ...denied }, 'the NATS server reports an error');
    }
  }
  gate.close();
}
