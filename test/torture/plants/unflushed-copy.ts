/**
 * A planted bug: a backup copies the tenant's file by SQLite's backup, but asks nobody for what the file does not hold yet.
 * What lies in the journals alone is missing then. The backup rounds must find it.
 */
import Database from 'better-sqlite3';
import { join } from 'node:path';
import { workerData } from 'node:worker_threads';
import { type Copied, TenantCopies } from '../../../src/storage/tenant-copies.ts';

TenantCopies.prototype.copy = async ({ tenant, to }): Promise<Copied> => {
  const beganMs = Date.now();
  const { dataDir } = workerData as { dataDir: string };
  const db = new Database(join(dataDir, 'tenants', tenant, 'tenant.db'), { readonly: true });
  await db.backup(to);
  db.close();
  const copy = new Database(to);
  copy.pragma('journal_mode = DELETE');
  copy.close();
  return { kind: 'copied', beganMs, finishedMs: Date.now(), bytes: 0, longestPauseMs: 0 };
};
