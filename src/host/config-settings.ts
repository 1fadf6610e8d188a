/**
 * Every setting that an operator has, as data: its name in the environment, what it expects, what it is for. The flag is
 * the same word in kebab case. `--help`, `--print-config`, the loader and docs/configuration.md all speak from this list.
 */
import { natsSettings } from './config-nats-settings.ts';
import { durationText, keepText } from './config-times.ts';
import { logLevels } from './log.ts';
import type { Config } from './config.ts';

export interface Setting {
  /** What stands behind the flag in help texts; undefined for a flag that is given without a value. */
  readonly value: string | undefined;
  readonly help: string;
  /** As text, for help and documents. */
  readonly fallback: string;
  /** Never printed. */
  readonly secret?: true;
  /** Only a flag, so that no inherited environment can turn it on. */
  readonly flagOnly?: true;
  /** Where it ends up. Undefined: it feeds another setting. */
  readonly of?: (config: Config) => unknown;
}

export const settings = {
  HOST: { value: '<address>', help: 'Address to listen on.', fallback: '127.0.0.1', of: (c: Config) => c.host },
  PORT: {
    value: '<port>',
    help: 'Port to listen on; 0 takes a free one.',
    fallback: '8080',
    of: (c: Config) => c.port,
  },
  DATA_DIR: {
    value: '<folder>',
    help: 'Where every acknowledged call is kept.',
    fallback: './data',
    of: (c: Config) => c.dataDir,
  },
  BACKUP_DIR: {
    value: '<folder>',
    help: 'Where backups and the archived log lie.',
    fallback: 'DATA_DIR/backups',
    of: (c: Config) => c.backup.dir,
  },
  BACKUP_INTERVAL: {
    value: '<time>',
    help: 'Time between backups that the server makes by itself, such as 15m or 1h; off: none.',
    fallback: 'off',
    of: (c: Config) => durationText(c.backup.intervalMs),
  },
  BACKUP_KEEP: {
    value: '<list>',
    help: 'How many hourly, daily and weekly backups are kept.',
    fallback: '24h,7d,4w',
    of: (c: Config) => keepText(c.backup.keep),
  },
  ADMIN_PORT: {
    value: '<port>',
    help: 'Health, readiness and metrics on a port of their own.',
    fallback: 'none',
    of: (c: Config) => c.adminPort,
  },
  ADMIN_HOST: {
    value: '<address>',
    help: 'Address that the admin port listens on; another than loopback only in a network that no client reaches.',
    fallback: '127.0.0.1',
    of: (c: Config) => c.adminHost,
  },
  SHARDS: {
    value: '<count>',
    help: 'Threads that run actors.',
    fallback: 'cores − 1, at least 1',
    of: (c: Config) => c.shards,
  },
  GATEWAYS: { value: '<count>', help: 'Threads that own sockets.', fallback: '1', of: (c: Config) => c.gateways },
  SHUTDOWN_TIMEOUT_MS: {
    value: '<ms>',
    help: 'Time for a clean stop after SIGTERM; past it the process exits with 1.',
    fallback: '10000',
    of: (c: Config) => c.shutdownTimeoutMs,
  },
  LOG_LEVEL: {
    value: '<level>',
    help: `One of ${logLevels.join(', ')}.`,
    fallback: 'info',
    of: (c: Config) => c.logLevel,
  },
  ALLOWED_ORIGINS: {
    value: '<list>',
    help: 'Origins that browsers may connect from, exact, separated by commas.',
    fallback: 'none (--dev: any)',
    of: (c: Config) => c.allowedOrigins,
  },
  AUTH_JWT_SECRET: {
    value: '<secret>',
    help: 'Shared secret of HS256 tokens, 32 bytes or more. A flag shows in the process list: prefer the environment.',
    fallback: 'none',
    secret: true,
    of: (c: Config) => c.auth.secret,
  },
  AUTH_JWT_SECRET_FILE: {
    value: '<file>',
    help: 'The same secret, read from a file (container secrets).',
    fallback: 'none',
  },
  AUTH_JWKS_URL: {
    value: '<url>',
    help: 'Public keys of your identity provider, over https.',
    fallback: 'none',
    of: (c: Config) => c.auth.jwksUrl,
  },
  AUTH_JWKS_FILE: {
    value: '<file>',
    help: 'Public keys (JWKS) from a file.',
    fallback: 'none',
    of: (c: Config) => c.auth.jwksFile,
  },
  AUTH_ISSUER: {
    value: '<text>',
    help: 'The `iss` that a token must carry.',
    fallback: 'fermata',
    of: (c: Config) => c.auth.issuer,
  },
  AUTH_AUDIENCE: {
    value: '<text>',
    help: 'The `aud` that a token must carry.',
    fallback: 'fermata',
    of: (c: Config) => c.auth.audience,
  },
  AUTH_ALGORITHMS: {
    value: '<list>',
    help: 'Accepted signatures, separated by commas.',
    fallback: 'HS256 with a secret; RS256,ES256,EdDSA with keys',
    of: (c: Config) => c.auth.algorithms,
  },
  AUTH_TENANT_CLAIM: {
    value: '<claim>',
    help: 'The claim that names the tenant.',
    fallback: 'tenant',
    of: (c: Config) => c.auth.tenantClaim,
  },
  AUTH_QUERY_TOKEN: {
    value: undefined,
    help: 'Also accept `?token=` in the URL. URLs end up in logs: only for clients that can do nothing else.',
    fallback: 'false',
    of: (c: Config) => c.auth.queryToken,
  },
  AUTH_REVOKED_FILE: {
    value: '<file>',
    help: 'JSON list of revoked tokens (`jti`) and subjects (`sub`), looked at again every second.',
    fallback: 'none',
    of: (c: Config) => c.auth.revokedFile,
  },
  ...natsSettings,
  LIMITS: {
    value: '<name=value>',
    help: 'Change one bound; repeatable. In the environment: LIMITS=name=value,name=value.',
    fallback: 'see docs/configuration.md',
  },
  DEV: {
    value: undefined,
    help: 'Development: loopback only, no token needed (tenant `dev`), pages are served.',
    fallback: 'false',
    flagOnly: true,
    of: (c: Config) => c.dev,
  },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof settings;

export const settingNames = Object.keys(settings) as SettingName[];

/** `SHUTDOWN_TIMEOUT_MS` → `--shutdown-timeout-ms`. */
export function flagOf(name: SettingName): string {
  // One flag sets one limit, so that its name is in the singular.
  if (name === 'LIMITS') return '--limit';
  return `--${name.toLowerCase().replaceAll('_', '-')}`;
}

/** The setting's row, with optional fields visible. */
export function settingOf(name: SettingName): Setting {
  return settings[name];
}
