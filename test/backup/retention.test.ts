import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DatedBase, type Keep, keepBases, segmentsToDrop } from '../../src/backup/retention.ts';

const hourMs = 3_600_000;
const nowMs = Date.parse('2026-11-21T10:30:00.000Z');

describe('what stays', () => {
  it('is the newest base of each of the last hours', () => {
    const { keep, drop } = kept(
      ['2026-11-21T10:20', '2026-11-21T10:10', '2026-11-21T09:59', '2026-11-21T09:00', '2026-11-21T08:59'],
      '2h',
    );
    expect(keep).toEqual(['2026-11-21T10:20', '2026-11-21T09:59']);
    expect(drop).toEqual(['2026-11-21T10:10', '2026-11-21T09:00', '2026-11-21T08:59']);
  });

  it('is the newest base of each of the last days, which end at midnight in UTC', () => {
    expect(kept(['2026-11-21T00:00', '2026-11-20T23:59', '2026-11-20T00:00', '2026-11-19T12:00'], '2d').keep).toEqual([
      '2026-11-21T00:00',
      '2026-11-20T23:59',
    ]);
  });

  it('is the newest base of each of the last weeks, which begin on Mondays, also at the turn of the year', () => {
    // The first of January 2026 was a Thursday: its week began on 29 December.
    expect(
      kept(['2026-01-05T00:00', '2026-01-04T23:59', '2026-01-01T00:00', '2025-12-29T00:00', '2025-12-28T23:59'], '3w')
        .keep,
    ).toEqual(['2026-01-05T00:00', '2026-01-04T23:59', '2025-12-28T23:59']);
  });

  it('is counted in spans that have a base, so that a server that was off loses nothing', () => {
    const old = ['2026-03-01T05:00', '2026-02-28T05:00', '2025-12-24T05:00'];
    expect(kept(old, '3d').keep).toEqual(old);
  });

  it('is what any of the three rules keeps', () => {
    const every = Array.from({ length: 24 * 60 }, (_, n) => base(nowMs - n * hourMs));
    const { keep, drop } = keepBases(every, { hourly: 24, daily: 7, weekly: 4 }, nowMs);
    // Of the seven days two are among the 24 hours; of the four weeks one is among them too, and one among the days.
    expect(keep).toHaveLength(24 + 5 + 2);
    expect(keep.length + drop.length).toBe(every.length);
    expect(keep).toContain('2026-11-15T23:30');
  });

  it('is the newest base in any case', () => {
    expect(kept(['2020-01-02T00:00', '2020-01-01T00:00'], '')).toEqual({
      keep: ['2020-01-02T00:00'],
      drop: ['2020-01-01T00:00'],
    });
    expect(keepBases([], { hourly: 1, daily: 1, weekly: 1 }, nowMs)).toEqual({ keep: [], drop: [] });
  });

  it('is also what claims to be of the future, without pushing out what was taken since', () => {
    expect(kept(['2030-01-01T00:00', '2026-11-21T10:20', '2026-11-21T09:20'], '1h')).toEqual({
      keep: ['2030-01-01T00:00', '2026-11-21T10:20'],
      drop: ['2026-11-21T09:20'],
    });
  });

  it('is a base behind a gap in the log, as long as an older one is kept', () => {
    const at = (minute: string, behindGap = false) => base(Date.parse(`2026-11-21T${minute}:00.000Z`), behindGap);
    const bases = [at('10:20'), at('10:10', true), at('10:05'), at('09:30', true), at('08:40'), at('08:10', true)];
    expect(keepBases(bases, keepOf('3h'), nowMs)).toEqual({
      keep: ['2026-11-21T10:20', '2026-11-21T10:10', '2026-11-21T09:30', '2026-11-21T08:40'],
      drop: ['2026-11-21T10:05', '2026-11-21T08:10'],
    });
    expect(keepBases(bases, keepOf('1h'), nowMs).keep).toEqual(['2026-11-21T10:20']);
  });

  it('stays when the same is asked again, and never is more than was asked for', () => {
    const times = fc.array(fc.integer({ min: 0, max: 24 * 400 }), { minLength: 1, maxLength: 80 });
    const counts = fc.record({ hourly: fc.nat(30), daily: fc.nat(10), weekly: fc.nat(6) });
    fc.assert(
      fc.property(times, counts, (ages, keep) => {
        const bases = [...new Set(ages)].map((hours) => base(nowMs - hours * hourMs));
        const first = keepBases(bases, keep, nowMs);
        expect(first.keep.length).toBeLessThanOrEqual(Math.max(1, keep.hourly + keep.daily + keep.weekly));
        expect([...first.keep, ...first.drop].toSorted()).toEqual(bases.map(({ name }) => name).toSorted());
        const again = keepBases(
          bases.filter(({ name }) => first.keep.includes(name)),
          keep,
          nowMs,
        );
        expect(again).toEqual({ keep: first.keep, drop: [] });
      }),
      { numRuns: 100 },
    );
  });
});

it('segments go that were full before the oldest kept base began, and none while a base needs them all', () => {
  expect(segmentsToDrop([3, 4, 5, 6], 5)).toEqual([3, 4]);
  expect(segmentsToDrop([3, 4], 1)).toEqual([]);
  expect(segmentsToDrop([3, 4], undefined)).toEqual([]);
});

function kept(minutes: readonly string[], keep: string): { keep: string[]; drop: string[] } {
  const bases = minutes.map((minute) => base(Date.parse(`${minute}:00.000Z`)));
  // In no order: listings may come in any.
  return keepBases(bases.toReversed(), keepOf(keep), nowMs);
}

function base(beganMs: number, behindGap = false): DatedBase {
  return { name: new Date(beganMs).toISOString().slice(0, 16), beganMs, behindGap };
}

/** Of such as `24h,7d,4w`. */
function keepOf(text: string): Keep {
  const count = (unit: string): number => Number(new RegExp(`(\\d+)${unit}`).exec(text)?.[1] ?? 0);
  return { hourly: count('h'), daily: count('d'), weekly: count('w') };
}
