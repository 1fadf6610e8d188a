import { expect, test } from 'vitest';
import { systemClock } from '../../src/host/clock.ts';

test('the monotonic clock never goes back', () => {
  const readings = Array.from({ length: 1000 }, () => systemClock.monotonic());
  expect(readings).toEqual([...readings].sort((a, b) => a - b));
});

test('now() counts milliseconds since the epoch', () => {
  const before = Date.now();
  const now = systemClock.now();
  expect(now).toBeGreaterThanOrEqual(before);
  expect(now).toBeLessThanOrEqual(Date.now());
});

test('ids have 16 characters that are safe in URLs, and none comes twice', () => {
  const ids = Array.from({ length: 5000 }, () => systemClock.id());
  expect(new Set(ids).size).toBe(5000);
  for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{16}$/);
});

test('random() stays in [0, 1)', () => {
  for (let i = 0; i < 1000; i++) {
    const value = systemClock.random();
    expect(value >= 0 && value < 1).toBe(true);
  }
});
