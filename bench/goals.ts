/** What the figures are held against. A goal speaks of a ratio, or of a time that nobody should wait longer, never of calls per second: those belong to a machine. */
import type { Figures, Spread } from './figures.ts';

export interface Goal {
  readonly text: string;
  readonly scenario: string;
  /** Where a scenario has several. */
  readonly load?: string;
  readonly variant: string;
  readonly read: (figures: Figures) => Spread | undefined;
  readonly bound: { readonly atLeast: number } | { readonly atMost: number };
}

export const goals: readonly Goal[] = [
  {
    text: '50×16 durable, share of echo',
    scenario: '50x16',
    variant: 'durable',
    read: (figures) => figures.ofEcho,
    bound: { atLeast: 0.18 },
  },
  {
    text: '50×16 durable, times the naive design',
    scenario: '50x16',
    variant: 'durable',
    read: (figures) => figures.ofNaive,
    bound: { atLeast: 6 },
  },
  {
    text: '50×16 memory, share of echo',
    scenario: '50x16',
    variant: 'memory',
    read: (figures) => figures.ofEcho,
    bound: { atLeast: 0.25 },
  },
  {
    text: '200 tenants durable, share of echo',
    scenario: 'tenants',
    variant: 'durable, 200 tenants',
    read: (figures) => figures.ofEcho,
    bound: { atLeast: 0.1 },
  },
  {
    text: '1×1 durable, median latency as a multiple of echo',
    scenario: '1x1',
    variant: 'durable',
    read: (figures) => figures.p50OfEcho,
    bound: { atMost: 3 },
  },
  {
    text: '50×16 over NATS, share of one process',
    scenario: 'nats',
    load: '50×16',
    variant: 'over NATS',
    read: (figures) => figures.ofEmbedded,
    bound: { atLeast: 0.3 },
  },
  {
    text: '1×1 over NATS, median latency in ms',
    scenario: 'nats',
    load: '1×1',
    variant: 'over NATS',
    read: (figures) => figures.p50Ms,
    bound: { atMost: 1.5 },
  },
];

export interface Verdict {
  readonly text: string;
  readonly goal: string;
  readonly value: Spread;
  readonly reached: boolean;
}

/** Goals whose scenario was measured. */
export function judge(figures: readonly Figures[]): Verdict[] {
  return goals.flatMap(({ text, scenario, load, variant, read, bound }) => {
    const isIt = (row: Figures): boolean =>
      row.scenario === scenario && row.variant === variant && row.load === (load ?? row.load);
    const row = figures.find(isIt);
    const value = row === undefined ? undefined : read(row);
    if (value === undefined) return [];
    const reached = 'atLeast' in bound ? value.median >= bound.atLeast : value.median <= bound.atMost;
    return [{ text, goal: 'atLeast' in bound ? `≥ ${bound.atLeast}` : `≤ ${bound.atMost}`, value, reached }];
  });
}
