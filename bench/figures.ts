/** From runs to figures: medians over rounds, and ratios between runs of the same round. */
import type { Row } from './measurement.ts';

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface Figures {
  readonly scenario: string;
  readonly variant: string;
  readonly load: string;
  /** Calls, or deliveries to subscribers. */
  readonly perSecond: Spread;
  readonly p50Ms: Spread;
  readonly p99Ms: Spread;
  /** Throughput divided by that of the echo under the same load, round by round. */
  readonly ofEcho: Spread | undefined;
  readonly ofNaive: Spread | undefined;
  /** Of one process, for what goes over NATS. */
  readonly ofEmbedded: Spread | undefined;
  /** Median latency divided by the echo's, round by round. */
  readonly p50OfEcho: Spread | undefined;
  readonly errors: number;
  readonly firstError: string | undefined;
  /** Shares of one core. */
  readonly generatorShare: number;
  readonly busiestThreadShare: number;
  readonly serverShare: number;
  /** The generator had a core to itself and needed all of it: the server might have done more. */
  readonly generatorBound: boolean;
}

const fullCore = 0.9;

export function figuresOf(rows: readonly Row[]): Figures[] {
  return rows.map((row) => {
    const peer = (variant: string): Row | undefined =>
      rows.find((other) => other.scenario === row.scenario && other.load === row.load && other.variant === variant);
    const generatorShare = median(row.runs.map((run) => run.generator.share));
    const busiestThreadShare = median(row.runs.map((run) => run.server.threads[0]?.share ?? 0));
    return {
      scenario: row.scenario,
      variant: row.variant,
      load: row.load,
      perSecond: spread(row.runs.map((run) => run.perSecond * row.weight)),
      p50Ms: spread(row.runs.map((run) => run.latencyMs.p50)),
      p99Ms: spread(row.runs.map((run) => run.latencyMs.p99)),
      ofEcho: ratio(row, peer('echo'), (run) => run.perSecond),
      ofNaive: row.variant === 'echo' ? undefined : ratio(row, peer('naive'), (run) => run.perSecond),
      ofEmbedded: row.variant === 'over NATS' ? ratio(row, peer('durable'), (run) => run.perSecond) : undefined,
      p50OfEcho: ratio(row, peer('echo'), (run) => run.latencyMs.p50),
      errors: row.runs.reduce((sum, run) => sum + run.errors, 0),
      firstError: row.runs.find((run) => run.firstError !== undefined)?.firstError,
      generatorShare,
      busiestThreadShare,
      serverShare: median(row.runs.map((run) => run.server.share)),
      generatorBound: generatorShare > fullCore && generatorShare > busiestThreadShare,
    };
  });
}

function ratio(row: Row, peer: Row | undefined, read: (run: Row['runs'][number]) => number): Spread | undefined {
  if (peer === undefined || peer === row) return undefined;
  return spread(row.runs.map((run, round) => read(run) / read(peer.runs[round]!)));
}

function spread(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}
