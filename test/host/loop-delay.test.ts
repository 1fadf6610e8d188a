import { expect, it } from 'vitest';
import { LoopDelay } from '../../src/host/loop-delay.ts';

it('nothing is measured before somebody asks, and then what came since', () => {
  const delay = new LoopDelay('shard-0');
  expect(delay.sample()).toEqual({ name: 'fermata_event_loop_delay_seconds', values: [] });
  const { values } = delay.sample();
  expect(values.map(({ labels }) => labels)).toEqual(
    ['0.5', '0.99', '1'].map((quantile) => ({ thread: 'shard-0', quantile })),
  );
  for (const { value } of values) expect(value).toBeGreaterThanOrEqual(0);
});
