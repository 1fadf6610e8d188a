/** What target-child.ts writes for ever, for those who look at what it left. */
import { baseName, segmentName } from '../../src/backup/names.ts';
import type { SegmentHeader } from '../../src/backup/segment.ts';

export const busyBase = `${baseName('acme', 1)}.db`;
export const busyManifest = `${baseName('acme', 1)}.json`;
export const busyLog = segmentName('acme', 1);
export const busyBytes = 300_000;
export const busyHeader: SegmentHeader = {
  log: 1,
  tenant: 'acme',
  number: 1,
  began: '2026-11-21T10:15:00.123Z',
  after: 'start',
};
