/**
 * What lies in a target is called:
 *
 *     <tenant>/base/20261121T101500123Z.db      a verified copy of the tenant's file; the time is when copying began
 *     <tenant>/base/20261121T101500123Z.json    its manifest, written last: a base exists when its manifest does
 *     <tenant>/log/00000007.log                 a segment of the log; 00000007.log.gz once it is sealed
 *
 * Sorted by name they are sorted by time. Names come from listings of a place that others write to as well, so that they
 * are read by allow-lists: nothing that is a legal name leads out of the target.
 */
import { strict as assert } from 'node:assert';
import { isTenant } from '../protocol/address.ts';

/** The first segment of a tenant is number 1. */
export const segmentNumberMax = 99_999_999;

/** Without ending: `.db` is the copy, `.json` its manifest. */
export function baseName(tenant: string, beganMs: number): string {
  return `${basesOf(tenant)}${stampOf(beganMs)}`;
}

export function segmentName(tenant: string, number: number, sealed = false): string {
  assert(isSegmentNumber(number), `${number} is no number of a segment`);
  return `${segmentsOf(tenant)}${String(number).padStart(8, '0')}.log${sealed ? '.gz' : ''}`;
}

/** All bases and manifests of a tenant begin with this. */
export function basesOf(tenant: string): string {
  return `${checked(tenant)}/base/`;
}

/** All segments of a tenant begin with this. */
export function segmentsOf(tenant: string): string {
  return `${checked(tenant)}/log/`;
}

const basePattern = /^([^/]+)\/base\/(\d{8}T\d{9}Z)(\.db|\.json)?$/;
const segmentPattern = /^([^/]+)\/log\/(\d{8})\.log(?:\.gz)?$/;

/** When the base began, milliseconds since the epoch, with or without ending; NaN when it is no base. */
export function baseTime(name: string): number {
  const [, tenant, stamp = ''] = basePattern.exec(name) ?? [];
  return isTenant(tenant) ? readStamp(stamp) : Number.NaN;
}

/** NaN when it is no segment. */
export function segmentNumber(name: string): number {
  const [, tenant, digits] = segmentPattern.exec(name) ?? [];
  return isTenant(tenant) && isSegmentNumber(Number(digits)) ? Number(digits) : Number.NaN;
}

/** Of an object. */
export function tenantOf(name: string): string {
  return name.slice(0, name.indexOf('/'));
}

/** May an object be called this? Nothing that may leads out of the target. */
export function isObjectName(name: string): boolean {
  return !Number.isNaN(segmentNumber(name)) || (/\.(db|json)$/.test(name) && !Number.isNaN(baseTime(name)));
}

export function isSegmentNumber(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= segmentNumberMax;
}

function checked(tenant: string): string {
  assert(isTenant(tenant), `${JSON.stringify(tenant)} is no tenant`);
  return tenant;
}

/** Years of four digits only, as everywhere where times are sorted as text. */
function stampOf(atMs: number): string {
  const stamp = new Date(atMs).toISOString().replaceAll(/[-:.]/g, '');
  assert(stamp.length === 19, `${atMs} is no time of a backup`);
  return stamp;
}

function readStamp(stamp: string): number {
  const part = (from: number, to: number): string => stamp.slice(from, to);
  const day = `${part(0, 4)}-${part(4, 6)}-${part(6, 8)}`;
  const atMs = Date.parse(`${day}T${part(9, 11)}:${part(11, 13)}:${part(13, 15)}.${part(15, 18)}Z`);
  // 30 February is read as 2 March, which has another name.
  return Number.isNaN(atMs) || stampOf(atMs) !== stamp ? Number.NaN : atMs;
}
