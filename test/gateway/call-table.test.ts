import fc from 'fast-check';
import { expect, it } from 'vitest';
import { CallTable } from '../../src/gateway/call-table.ts';

const content = (table: CallTable<string>) => [...table.entries()].toSorted(([a], [b]) => a - b);

it('holds what a Map would hold, whatever is set and taken', () => {
  // Numbers of one gateway follow each other; those of a later life of it are far beyond 32 bits.
  const first = fc.constantFrom(1, 2 ** 31 - 50, 2 ** 32 - 50, 3 * 2 ** 40 + 1);
  const step = fc.oneof(fc.constant('set' as const), fc.nat(5000));
  fc.assert(
    fc.property(first, fc.array(step, { maxLength: 3000, size: 'max' }), (start, steps) => {
      const table = new CallTable<string>();
      const map = new Map<number, string>();
      let next = start;
      for (const what of steps) {
        if (what === 'set') {
          table.set(next, `call ${next}`);
          map.set(next, `call ${next}`);
          next += 1;
        } else {
          const number = start + (what % (next - start + 2));
          expect(table.get(number)).toBe(map.get(number));
          expect(table.take(number)).toBe(map.get(number));
          map.delete(number);
        }
        expect(table.size).toBe(map.size);
      }
      expect(content(table)).toEqual([...map]);
    }),
    { numRuns: 50 },
  );
});

it('grows, and keeps old calls while others come and go', () => {
  const table = new CallTable<string>();
  for (let number = 1; number <= 20_000; number += 1) table.set(number, 'old');
  for (let number = 20_001; number <= 220_000; number += 1) {
    table.set(number, 'new');
    if (number > 21_000) expect(table.take(number - 1000) === undefined).toBe(false);
  }
  expect(table.size).toBe(21_000);
  expect(content(table).filter(([, value]) => value === 'old')).toHaveLength(20_000);
});
