import { expect, test } from 'vitest';
import { counted, readableAge, readableBytes, readableTable, readableTime } from '../../src/cli/readable.ts';

test.each([
  [0, '0 bytes'],
  [1023, '1023 bytes'],
  [1536, '1.5 KiB'],
  [10 * 1024, '10 KiB'],
  [3 * 1024 ** 3, '3.0 GiB'],
  [5000 * 1024 ** 4, '5000 TiB'],
])('%i bytes read %s', (bytes, text) => {
  expect(readableBytes(bytes)).toBe(text);
});

test.each([
  [-5, 'just now'],
  [999, 'just now'],
  [40_000, '40 s ago'],
  [180_000, '3 min ago'],
  [3 * 3_600_000, '3 h ago'],
  [5 * 86_400_000, '5 days ago'],
])('an age of %i ms reads %s', (ms, text) => {
  expect(readableAge(ms)).toBe(text);
});

test.each([
  [12.4, '12 ms'],
  [1530, '1.5 s'],
  [119_999, '120.0 s'],
  [180_000, '3 min'],
])('a time of %d ms reads %s', (ms, text) => {
  expect(readableTime(ms)).toBe(text);
});

test('things are counted in the plural, one in the singular', () => {
  expect([0, 1, 1204].map((count) => counted(count, 'actor'))).toEqual(['0 actors', '1 actor', '1,204 actors']);
});

test('columns are as wide as their widest cell', () => {
  expect(readableTable(['a', 'b'], [['long', '1'], ['x']])).toBe('a     b\nlong  1\nx');
});
