import { expect, it } from 'vitest';
import { defaultLimits } from '../../src/protocol/limits.ts';
import type { Connection } from '../../src/gateway/connection.ts';
import { reviewConnections } from '../../src/gateway/standing.ts';

it('who is silent is asked after half of the idle time, asked again at its end, and cut after twice the time', () => {
  let seconds = 0;
  const seen: [what: string, atS: number][] = [];
  const silent = {
    principal: { expiresMs: Infinity },
    countSilence: () => seconds,
    ping: () => seen.push(['ping', seconds]),
    cut: () => seen.push(['cut', seconds]),
  } as unknown as Connection;
  for (seconds = 1; seconds <= 120; seconds += 1)
    reviewConnections([silent], { nowMs: 0, revocations: undefined, limits: defaultLimits });
  expect(seen).toEqual([
    ['ping', 30],
    ['ping', 60],
    ['cut', 120],
  ]);
});
