import { describe, expect, it } from 'vitest';
import {
  baseName,
  basesOf,
  baseTime,
  isObjectName,
  segmentName,
  segmentNumber,
  segmentsOf,
  tenantOf,
} from '../../src/backup/names.ts';

const atMs = Date.UTC(2026, 10, 21, 10, 15, 0, 123);

describe('names of bases', () => {
  it('say whose they are and when the copy began, in UTC and to the millisecond', () => {
    expect(baseName('acme', atMs)).toBe('acme/base/20261121T101500123Z');
    expect(baseTime('acme/base/20261121T101500123Z')).toBe(atMs);
    expect(baseTime('acme/base/20261121T101500123Z.db')).toBe(atMs);
    expect(baseTime('acme/base/20261121T101500123Z.json')).toBe(atMs);
    expect(tenantOf(baseName('acme', atMs))).toBe('acme');
    expect(baseName('acme', atMs).startsWith(basesOf('acme'))).toBe(true);
  });

  it('sort by time when they are sorted as text', () => {
    const times = [0, 999, 1000, 86_399_999, 86_400_000, atMs, atMs + 1, Date.UTC(2999, 0, 1)];
    const names = times.map((each) => baseName('acme', each));
    expect(names.toSorted()).toEqual(names);
  });

  it('are not read from what only looks like one', () => {
    for (const name of [
      'acme/base/20260230T101500123Z.db',
      'acme/base/20261121T251500123Z.db',
      'acme/base/20261121T101500123Z.db.1-0123456789ab.partial',
      'acme/base/20261121T101500123Z.tar',
      'acme/base/x/20261121T101500123Z.db',
      'Acme/base/20261121T101500123Z.db',
      '../base/20261121T101500123Z.db',
      'acme/log/20261121T101500123Z.db',
    ])
      expect(baseTime(name), name).toBeNaN();
  });

  it('are made of tenants and of years with four digits only', () => {
    expect(() => baseName('../up', atMs)).toThrow('"../up" is no tenant');
    expect(() => baseName('acme', Date.UTC(12_000, 0, 1))).toThrow('is no time of a backup');
    expect(() => baseName('acme', Number.NaN)).toThrow();
  });
});

describe('names of segments', () => {
  it('say their number, and whether they are sealed', () => {
    expect(segmentName('acme', 7)).toBe('acme/log/00000007.log');
    expect(segmentName('acme', 99_999_999, true)).toBe('acme/log/99999999.log.gz');
    expect(segmentNumber('acme/log/00000007.log')).toBe(7);
    expect(segmentNumber('acme/log/00000007.log.gz')).toBe(7);
    expect(segmentName('acme', 7).startsWith(segmentsOf('acme'))).toBe(true);
  });

  it('have numbers from 1 to what eight digits hold', () => {
    for (const number of [0, -1, 1.5, 100_000_000, Number.NaN])
      expect(() => segmentName('acme', number)).toThrow('is no number of a segment');
    for (const name of ['acme/log/00000000.log', 'acme/log/7.log', 'acme/log/00000007.gz', 'acme/base/00000007.log'])
      expect(segmentNumber(name), name).toBeNaN();
  });
});

it('what a target may hold is copies, manifests and segments, and no name leads out of it', () => {
  for (const name of [`${baseName('acme', atMs)}.db`, `${baseName('acme', atMs)}.json`, segmentName('a', 1, true)])
    expect(isObjectName(name), name).toBe(true);
  for (const name of [
    '',
    'acme',
    'acme/base',
    'acme/base/',
    baseName('acme', atMs),
    'acme/base/../../../etc/passwd',
    'acme/log/../00000007.log',
    '/acme/log/00000007.log',
    'acme/log/00000007.log\n',
    'acme//log/00000007.log',
    `acme/log/00000007.log\u0000`,
  ])
    expect(isObjectName(name), JSON.stringify(name)).toBe(false);
});
