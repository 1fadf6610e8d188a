/** A planted bug: a backup copies the tenant's file as it lies there, without its WAL. The backup rounds must find it. */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { workerData } from 'node:worker_threads';
import { type Copied, TenantCopies } from '../../../src/storage/tenant-copies.ts';

TenantCopies.prototype.copy = async ({ tenant, to }): Promise<Copied> => {
  const beganMs = Date.now();
  const { dataDir } = workerData as { dataDir: string };
  copyFileSync(join(dataDir, 'tenants', tenant, 'tenant.db'), to);
  return { kind: 'copied', beganMs, finishedMs: Date.now(), bytes: 0, longestPauseMs: 0 };
};
