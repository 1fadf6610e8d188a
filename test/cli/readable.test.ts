import { expect, test } from 'vitest';
import { readableAge, readableBytes, readableTable } from '../../src/cli/readable.ts';

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

test('columns are as wide as their widest cell', () => {
  expect(readableTable(['a', 'b'], [['long', '1'], ['x']])).toBe('a     b\nlong  1\nx');
});
