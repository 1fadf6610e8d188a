/**
 * Makes the configuration: every setting from its flag, else from the environment, else from the default; then the rules
 * that hold between settings. Either the whole of it is right, checked once and frozen, or a ConfigError names every
 * mistake at once, each with the flag or variable it came from and what would be right.
 */
import { availableParallelism } from 'node:os';
import { checkLimits, defaultLimits, partitions, type Limits } from '../protocol/limits.ts';
import type { AuthConfig, BackupConfig, Config } from './config.ts';
import { label, SettingReader, type ConfigSources, type Origin } from './config-reader.ts';
import { checkNats, readNats } from './config-nats.ts';
import { checkAuth, checkBackup, checkPorts, checkSockets } from './config-rules.ts';
import { settingNames, type SettingName } from './config-settings.ts';
import { backupKeep, durationOrOff } from './config-times.ts';
import {
  algorithms,
  anyText,
  didYouMean,
  hostAddress,
  keysFile,
  keysUrl,
  listOf,
  oneOf,
  origins,
  revokedFile,
  secretFile,
  wholeNumber,
  yesOrNo,
} from './config-values.ts';
import { logLevels } from './log.ts';

export interface LoadOptions {
  /** Path of the app module; empty for commands that serve nothing. */
  readonly app?: string;
  /** Settings that the command uses; default all. The others are not read and stay at their defaults. */
  readonly names?: readonly SettingName[];
  /** Also hold the rules of whoever listens for clients: tokens can be verified, development stays on loopback. */
  readonly sockets?: boolean;
  /** One process alone makes no sense. */
  readonly needsNats?: boolean;
}

export interface LoadedConfig {
  readonly config: Config;
  readonly origins: ReadonlyMap<SettingName, Origin>;
  readonly limitOrigins: ReadonlyMap<string, Origin>;
}

/** Carries every mistake of a configuration, one sentence each. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** @throws ConfigError with every problem found */
export function loadConfig(sources: ConfigSources, options: LoadOptions = {}): LoadedConfig {
  const reader = new SettingReader(sources, options.names ?? settingNames);
  const limits = readLimits(reader);
  const dev = reader.read('DEV', false, yesOrNo);
  const dataDir = reader.read('DATA_DIR', './data', anyText);
  const config: Config = {
    app: options.app ?? '',
    dev,
    host: reader.read('HOST', '127.0.0.1', hostAddress),
    port: reader.read('PORT', 8080, wholeNumber(0, 65_535, '; 0 takes a free one')),
    adminHost: reader.read('ADMIN_HOST', '127.0.0.1', hostAddress),
    adminPort: reader.read('ADMIN_PORT', undefined, wholeNumber(0, 65_535, '; 0 takes a free one')),
    dataDir,
    backup: readBackup(reader, dataDir),
    // The gateway and main need a core between them; with one core they share it with the only shard.
    shards: reader.read(
      'SHARDS',
      Math.min(partitions, Math.max(1, availableParallelism() - 1)),
      wholeNumber(1, partitions),
    ),
    gateways: reader.read('GATEWAYS', 1, wholeNumber(1, 64)),
    shutdownTimeoutMs: reader.read('SHUTDOWN_TIMEOUT_MS', 10_000, wholeNumber(100, 3_600_000, ' milliseconds')),
    logLevel: reader.read('LOG_LEVEL', 'info', oneOf(logLevels)),
    allowedOrigins: reader.read('ALLOWED_ORIGINS', [], origins),
    auth: readAuth(reader),
    ...readNats(reader),
    limits: limits.values,
  };
  checkPorts(config, reader);
  checkBackup(config, reader);
  checkAuth(config.auth, reader);
  if (options.sockets) checkSockets(config, reader);
  if (options.needsNats) checkNats(config, reader);
  if (reader.problems.length > 0) throw new ConfigError(reader.problems);
  return { config: freeze(config), origins: reader.origins, limitOrigins: limits.origins };
}

function readBackup(reader: SettingReader, dataDir: string): BackupConfig {
  return {
    dir: reader.read('BACKUP_DIR', `${dataDir.replace(/\/+$/, '')}/backups`, anyText),
    intervalMs: reader.read('BACKUP_INTERVAL', undefined, durationOrOff),
    keep: reader.read('BACKUP_KEEP', { hourly: 24, daily: 7, weekly: 4 }, backupKeep),
  };
}

function readAuth(reader: SettingReader): AuthConfig {
  let secret = reader.read('AUTH_JWT_SECRET', undefined, (text) => ({ value: text }));
  if (!reader.isSet('AUTH_JWT_SECRET')) {
    secret = reader.read('AUTH_JWT_SECRET_FILE', undefined, secretFile);
    // The secret is printed, hidden, as one row: it came from wherever the file's name came from.
    const origin = reader.origins.get('AUTH_JWT_SECRET_FILE');
    if (origin !== undefined) reader.origins.set('AUTH_JWT_SECRET', origin);
  }
  const jwksUrl = reader.read('AUTH_JWKS_URL', undefined, keysUrl);
  const jwksFile = reader.read('AUTH_JWKS_FILE', undefined, keysFile);
  const byKeys = reader.isSet('AUTH_JWKS_URL') || reader.isSet('AUTH_JWKS_FILE');
  return {
    secret,
    jwksUrl,
    jwksFile,
    issuer: reader.read('AUTH_ISSUER', 'fermata', anyText),
    audience: reader.read('AUTH_AUDIENCE', 'fermata', anyText),
    algorithms: reader.read('AUTH_ALGORITHMS', byKeys ? ['RS256', 'ES256', 'EdDSA'] : ['HS256'], algorithms),
    tenantClaim: reader.read('AUTH_TENANT_CLAIM', 'tenant', anyText),
    queryToken: reader.read('AUTH_QUERY_TOKEN', false, yesOrNo),
    revokedFile: reader.read('AUTH_REVOKED_FILE', undefined, revokedFile),
  };
}

/** The defaults with what `LIMITS` changed, and on top of that what `--limit` changed. */
function readLimits(reader: SettingReader): { values: Limits; origins: Map<string, Origin> } {
  const values: Limits = { ...defaultLimits };
  const changed = new Map<string, Origin & { name: string }>();
  const names = Object.keys(defaultLimits) as (keyof Limits)[];
  for (const { text, origin } of reader.texts('LIMITS')) {
    for (const part of listOf(text)) {
      const [word = '', figure = ''] = part.split('=', 2).map((side) => side.trim());
      const name = names.find((known) => known === word);
      if (!part.includes('='))
        reader.problems.push(
          `${label(origin)}: "${part}" is no change of a limit; write name=value, such as turnMs=5000`,
        );
      else if (name === undefined)
        reader.problems.push(`${label(origin)}: there is no limit "${word}"${didYouMean(word, names)}`);
      else if (!/^\d{1,15}$/.test(figure))
        reader.problems.push(`${label(origin)}: limit ${name} must be a whole number, not "${figure}"`);
      else {
        values[name] = Number(figure);
        changed.set(name, origin);
      }
    }
  }
  try {
    checkLimits(values);
  } catch (error) {
    const ways = new Set([...changed.values()].map(label));
    reader.problems.push(`${[...ways].join(' and ')}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return { values, origins: changed };
}

function freeze(config: Config): Config {
  const { allowedOrigins, auth, backup, limits, nats, natsServer } = config;
  const parts = [allowedOrigins, auth, auth.algorithms, backup, backup.keep, limits];
  for (const part of [...parts, nats, nats?.servers, natsServer, natsServer?.leafRemotes]) Object.freeze(part);
  return Object.freeze(config);
}
