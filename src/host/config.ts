/**
 * The configuration's shape. Flag, then environment, then default; validated once, frozen, printable.
 */
import type { Limits } from '../protocol/limits.ts';
import type { LogLevel } from './log.ts';

export interface AuthConfig {
  /** HS256 secret of at least 32 bytes. */
  readonly secret: string | undefined;
  readonly jwksUrl: string | undefined;
  readonly jwksFile: string | undefined;
  readonly issuer: string;
  readonly audience: string;
  readonly algorithms: readonly string[];
  readonly tenantClaim: string;
  /** Accept `?token=`; off by default, because URLs end up in logs. */
  readonly queryToken: boolean;
  /** File that lists revoked tokens and subjects; looked at again every second. */
  readonly revokedFile: string | undefined;
}

/** How many backups of each kind are kept; 0 keeps none of that kind. */
export interface BackupKeep {
  readonly hourly: number;
  readonly daily: number;
  readonly weekly: number;
}

export interface BackupConfig {
  readonly dir: string;
  /** Between backups that the server makes by itself; undefined: it makes none. */
  readonly intervalMs: number | undefined;
  readonly keep: BackupKeep;
}

/** How to reach NATS. Strings and numbers only: threads are given it as it is. */
export interface NatsConfig {
  readonly servers: readonly string[];
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly token: string | undefined;
  /** File of a user's JWT and seed, as `nsc` writes it. */
  readonly credsFile: string | undefined;
  /** File of a user's nkey seed. */
  readonly nkeyFile: string | undefined;
  /** PEM files; TLS is used when the server or a `tls://` address asks for it, or one of them is given. */
  readonly tlsCaFile: string | undefined;
  readonly tlsCertFile: string | undefined;
  readonly tlsKeyFile: string | undefined;
  /** Copies of streams and buckets in a NATS cluster. What exists with more keeps them. */
  readonly replicas: number;
}

/** A nats-server of our own. */
export interface NatsServerConfig {
  /** Program; a name is looked for on the PATH. */
  readonly bin: string;
  readonly host: string;
  readonly port: number;
  /** URLs of hubs that it is a leaf of, at most ten. */
  readonly leafRemotes: readonly string[];
  /** JetStream domain; needed below a hub that has JetStream too. */
  readonly domain: string | undefined;
}

export interface Config {
  /** Path of the module that exports the app. */
  readonly app: string;
  /** Development: loopback only, calls without a token belong to tenant `dev`, pages are served. */
  readonly dev: boolean;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Where the admin port listens. */
  readonly adminHost: string;
  /** Health, readiness and metrics on their own port; undefined: none. */
  readonly adminPort: number | undefined;
  readonly dataDir: string;
  readonly backup: BackupConfig;
  readonly shards: number;
  readonly gateways: number;
  readonly shutdownTimeoutMs: number;
  readonly logLevel: LogLevel;
  /** Exact origins that browsers may connect from. Empty: any in development, none otherwise. */
  readonly allowedOrigins: readonly string[];
  readonly auth: AuthConfig;
  /** Undefined: one process, without NATS. */
  readonly nats: NatsConfig | undefined;
  /** Started and supervised by this process; `nats` then speaks of it. */
  readonly natsServer: NatsServerConfig | undefined;
  /** Milliseconds for which a node that is away keeps slots that hold no data. Those with data stay its own. */
  readonly slotGraceMs: number;
  readonly limits: Limits;
}
