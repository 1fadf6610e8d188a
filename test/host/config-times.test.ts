/** Spans of time in settings: what is taken, what is refused with what would be right, and how they are shown. */
import { describe, expect, test } from 'vitest';
import { printConfig, printConfigJson } from '../../src/host/config-print.ts';
import { load, problems } from './config-fixture.ts';

describe('BACKUP_DIR', () => {
  test('lies in the data directory unless it is named', () => {
    expect(load().config.backup.dir).toBe('./data/backups');
    expect(load({ '--data-dir': '/srv/f//' }).config.backup.dir).toBe('/srv/f/backups');
    expect(load({ '--data-dir': '/' }).config.backup.dir).toBe('/backups');
    expect(load({ '--data-dir': '/srv/f', '--backup-dir': '/mnt/b' }).config.backup.dir).toBe('/mnt/b');
  });

  test.each([['/srv/f'], ['/srv/f/tenants'], ['/srv/f/tenants/acme'], ['/srv/f/x/../journal/'], ['/srv/f/quarantine']])(
    '%s is refused: there lies the data itself',
    (dir) => {
      expect(problems({ '--data-dir': '/srv/f', '--backup-dir': dir })).toEqual([
        `--backup-dir: ${dir} is where the data itself lies; name a folder of its own`,
      ]);
    },
  );

  test.each([['/srv'], ['/srv/f/backups'], ['/srv/f2/tenants'], ['/srv/f/tenants-old']])('%s is fine', (dir) => {
    expect(problems({ '--data-dir': '/srv/f', '--backup-dir': dir })).toEqual([]);
  });
});

describe('BACKUP_INTERVAL', () => {
  test.each([
    ['off', undefined, 'off'],
    ['1m', 60_000, '1m'],
    ['60s', 60_000, '1m'],
    ['90s', 90_000, '90s'],
    ['60m', 3_600_000, '1h'],
    [' 7d ', 604_800_000, '7d'],
  ])('%s is taken, and shown as people write it', (text, intervalMs, shown) => {
    const loaded = load({ '--backup-interval': text });
    expect(loaded.config.backup.intervalMs).toBe(intervalMs);
    expect(printConfig(loaded)).toMatch(new RegExp(`^backup-interval +${shown} +--backup-interval$`, 'm'));
  });

  test.each([['59s'], ['8d'], ['1'], ['1.5h'], ['-1h'], ['1h30m'], ['never'], ['0m']])('%s is refused', (text) => {
    expect(problems({}, { BACKUP_INTERVAL: text })).toEqual([
      `BACKUP_INTERVAL (environment): "${text}" is no time from 1m to 7d; write a number and s, m, h or d, such as 15m, or off`,
    ]);
  });
});

describe('BACKUP_KEEP', () => {
  test.each([
    ['24h,7d,4w', { hourly: 24, daily: 7, weekly: 4 }, '24h,7d,4w'],
    ['4w, 2h', { hourly: 2, daily: 0, weekly: 4 }, '2h,4w'],
    ['9999d', { hourly: 0, daily: 9999, weekly: 0 }, '9999d'],
  ])('%s is taken', (text, keep, shown) => {
    const loaded = load({ '--backup-keep': text });
    expect(loaded.config.backup.keep).toEqual(keep);
    expect(JSON.parse(printConfigJson(loaded))).toMatchObject({
      'backup-keep': { value: shown, source: 'flag', setBy: '--backup-keep' },
      'backup-interval': { value: 'off', source: 'default' },
    });
  });

  test.each([
    ['24', '"24" is no count of backups to keep'],
    ['0h', '"0h" is no count of backups to keep'],
    ['24h,10000d', '"10000d" is no count of backups to keep'],
    ['1y', '"1y" is no count of backups to keep'],
    ['1h,2h', '"1h,2h" says h twice'],
    [',', '"," would keep no backup'],
  ])('%s is refused', (text, problem) => {
    expect(problems({ '--backup-keep': text })).toEqual([
      `--backup-keep: ${problem}; write counts of hours, days and weeks, such as 24h,7d,4w`,
    ]);
  });
});

test('the two limits of the archived log have their defaults and can be changed', () => {
  expect(load().config.limits).toMatchObject({ archiveDelayMs: 1000, archiveBufferBytesMax: 67_108_864 });
  expect(load({ '--limit': ['archiveDelayMs=50'] }).config.limits.archiveDelayMs).toBe(50);
});
