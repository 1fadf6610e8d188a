import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { BackupSchedule, type ScheduleParts } from '../../src/backup/schedule.ts';
import { systemClock } from '../../src/host/clock.ts';
import { silentLog } from '../storage/fixtures.ts';

const startMs = Date.parse('2026-11-21T10:00:00Z');
const hourMs = 3_600_000;

describe('the schedule of backups', () => {
  it('begins soon where there is no base, and then every interval, one tenant after the other', async () => {
    const { schedule, made } = rig({});
    await schedule.start();
    await vi.advanceTimersByTimeAsync(1000);
    expect(made).toEqual(['acme', 'globex']);
    await vi.advanceTimersByTimeAsync(hourMs - 1);
    expect(made).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(made).toHaveLength(4);
  });

  it('waits for the rest of an interval that a former process began', async () => {
    const { schedule, made } = rig({ newest: async () => startMs - hourMs / 2 });
    await schedule.start();
    await vi.advanceTimersByTimeAsync(hourMs / 2 - 1);
    expect(made).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(made).toHaveLength(2);
  });

  it('goes on with the others when one fails, tries again within a minute, and tells how it stands', async () => {
    let broken = true;
    const make = async (tenant: string): Promise<undefined> => {
      if (tenant === 'acme' && broken) throw new Error('no room');
    };
    const { schedule } = rig({ make });
    await schedule.start();
    expect(schedule.health).toEqual({ lastGood: null, ageS: null, alarm: false, failing: 0 });
    await vi.advanceTimersByTimeAsync(1000);
    expect(schedule.health).toMatchObject({ lastGood: null, failing: 1 });
    broken = false;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(schedule.health).toEqual({ lastGood: '2026-11-21T10:01:01.000Z', ageS: 0, alarm: false, failing: 0 });
  });

  it('raises the alarm when no round was good for two intervals', async () => {
    const { schedule } = rig({ tenants: () => Promise.reject(new Error('the disk is gone')) });
    await schedule.start();
    await vi.advanceTimersByTimeAsync(2 * hourMs);
    expect(schedule.health.alarm).toBe(false);
    await vi.advanceTimersByTimeAsync(1000);
    expect(schedule.health).toMatchObject({ alarm: true, failing: 1 });
  });

  it('stops after the tenant that is under way', async () => {
    let finish = (): void => undefined;
    const begun: string[] = [];
    const make = (tenant: string): Promise<undefined> =>
      new Promise((resolve) => {
        begun.push(tenant);
        finish = () => resolve(undefined);
      });
    const { schedule } = rig({ make });
    await schedule.start();
    await vi.advanceTimersByTimeAsync(1000);
    const stopped = schedule.stop();
    finish();
    await stopped;
    await vi.advanceTimersByTimeAsync(10 * hourMs);
    expect(begun).toEqual(['acme']);
  });
});

function rig(parts: Partial<ScheduleParts>) {
  vi.useFakeTimers({ now: startMs });
  onTestFinished(() => void vi.useRealTimers());
  const made: string[] = [];
  const schedule = new BackupSchedule({
    intervalMs: hourMs,
    newest: async () => undefined,
    tenants: async () => ['acme', 'globex'],
    make: async (tenant) => {
      made.push(tenant);
      return undefined;
    },
    clock: systemClock,
    log: silentLog,
    ...parts,
  });
  return { schedule, made };
}
