/**
 * What `fermata backup` and `fermata restore` need of whoever owns the data: the running server, asked over its admin
 * socket, or this process, which holds the lock of a directory that no server uses. The commands cannot tell which.
 */
import type { Config } from '../host/config.ts';

export interface DataOperations {
  /** Backs up one tenant, or all, one after the other. One that fails does not keep the others from theirs. */
  backup(request: BackupRequest, progress: (p: BackupProgress) => void): Promise<readonly BackupResult[]>;
  /**
   * Puts a built and checked tenant file in the tenant's place; the former file is kept aside. With `actor` only that one
   * is copied out of the file. Whatever is there already is refused without `replace`, also while it is quarantined.
   */
  swap(request: SwapRequest): Promise<SwapResult>;
}

export interface BackupRequest {
  readonly tenant?: string;
  /** An absolute path; without one it is where the owner of the data is configured to put backups. */
  readonly to?: string;
}

export interface BackupProgress {
  readonly tenant: string;
  /** This is the tenant number `at` (from 1) of `of`. */
  readonly at: number;
  readonly of: number;
  readonly bytes: number;
  readonly bytesTotal: number;
}

export type BackupResult = BackedUp | NotBackedUp;

export interface BackedUp {
  readonly tenant: string;
  /** The base's name in its target. */
  readonly base: string;
  /** The target's name: the absolute path of a directory. */
  readonly target: string;
  readonly bytes: number;
  readonly actors: number;
  readonly ms: number;
  /** Milliseconds for which the tenant's writes waited at most. */
  readonly longestPauseMs: number;
  readonly error?: undefined;
}

export interface NotBackedUp {
  readonly tenant: string;
  /** One sentence. */
  readonly error: string;
}

export interface SwapRequest {
  /** Whose place it takes. */
  readonly tenant: string;
  /** The absolute path of a closed tenant file without sidecars, on the data directory's file system. It is moved or read. */
  readonly file: string;
  readonly replace: boolean;
  /** Only this one; the rest of the tenant stays as it is. */
  readonly actor?: ActorName;
}

export interface ActorName {
  readonly type: string;
  readonly id: string;
}

export interface SwapResult {
  /** The absolute path of what was there before, of one actor also the whole file; undefined when nothing was. */
  readonly movedTo?: string;
}

/** Finds the owner of the data, or becomes it. @throws CommandError when the directory is held by something that cannot be asked */
export type OpenDataOperations = (config: Config) => Promise<OpenedOperations>;

export interface OpenedOperations extends DataOperations {
  close(): Promise<void>;
}
