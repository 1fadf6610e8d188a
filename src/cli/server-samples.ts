/** What main itself knows for `/metrics`. */
import { readdir } from 'node:fs/promises';
import type { BackupHealth } from '../backup/schedule.ts';
import { type Sample, sample, samples } from '../host/meters.ts';
import type { Phase } from '../host/phase.ts';
import { dataPaths } from '../storage/paths.ts';
import { version } from './version.ts';

export interface ServerFacts {
  readonly dataDir: string;
  readonly phase: Phase;
  readonly quarantinedCalls: number;
  readonly backup: BackupHealth | undefined;
}

export async function serverSamples({ dataDir, phase, quarantinedCalls, backup }: ServerFacts): Promise<Sample[]> {
  const tenants = await readdir(dataPaths(dataDir).tenants).catch(() => []);
  return [
    samples('fermata_info', 'version', [[version(), 1]]),
    sample('fermata_ready', phase.takesTraffic ? 1 : 0),
    sample('fermata_tenants', tenants.length),
    sample('fermata_quarantined_calls', quarantinedCalls),
    ...(backup === undefined ? [] : backupSamples(backup)),
  ];
}

function backupSamples({ ageS, alarm, failing }: BackupHealth): Sample[] {
  return [
    ...(ageS === null ? [] : [sample('fermata_backup_age_seconds', ageS)]),
    sample('fermata_backup_overdue', alarm ? 1 : 0),
    sample('fermata_backup_failing_tenants', failing),
  ];
}
