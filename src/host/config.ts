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
  readonly natsUrl: string | undefined;
  readonly limits: Limits;
}
