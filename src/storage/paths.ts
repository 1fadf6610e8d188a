/**
 * Where things lie in a data directory, and the only place where a tenant's name becomes a path.
 *
 * Invariants: the name passed the allow-list, the path stays inside `tenants/`, and no link is followed on the way:
 * a link would let one tenant's name open another tenant's file. Directories are 0700.
 */
import { lstatSync, type Stats } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { createDirectory, fsyncDirectory } from '../host/directory.ts';
import { isTenant } from '../protocol/address.ts';

export interface DataPaths {
  readonly lock: string;
  readonly journal: string;
  readonly tenants: string;
  readonly quarantine: string;
  /** Entries that wait for tenant files that cannot be written. */
  readonly spilled: string;
}

export function dataPaths(dataDir: string): DataPaths {
  const root = resolve(dataDir);
  return {
    lock: join(root, 'LOCK'),
    journal: join(root, 'journal'),
    tenants: join(root, 'tenants'),
    quarantine: join(root, 'quarantine'),
    spilled: join(root, 'journal', 'spilled.db'),
  };
}

/** A shard's journal. */
export function journalPath(dataDir: string, shard: number): string {
  return join(dataPaths(dataDir).journal, `${shard}.db`);
}

/** @throws Error when the name is not one of a tenant */
export function tenantDirectory(dataDir: string, tenant: string): string {
  if (!isTenant(tenant)) throw new Error(`${JSON.stringify(tenant)} is not the name of a tenant`);
  const { tenants } = dataPaths(dataDir);
  const directory = join(tenants, tenant);
  if (relative(tenants, directory) !== tenant) throw new Error(`tenant "${tenant}" would lie outside ${tenants}`);
  return directory;
}

/** Creates a directory and its parents, 0700, and makes their names survive a power cut. */
export function makeDirectory(path: string): void {
  const first = createDirectory(path);
  if (first === undefined) return;
  for (let at = resolve(path); ; at = dirname(at)) {
    fsyncDirectory(dirname(at));
    if (at === first) return;
  }
}

/** What lies at a path, without following a link; undefined when nothing does. */
export function look(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

/** @throws Error when a link or something else lies where a file or directory of ours belongs */
export function refuseForeign(path: string, kind: 'file' | 'directory'): void {
  const stats = look(path);
  if (stats === undefined) return;
  const fits = kind === 'file' ? stats.isFile() : stats.isDirectory();
  if (!fits) throw new Error(`${path} must be a ${kind}; links are not followed here`);
}
