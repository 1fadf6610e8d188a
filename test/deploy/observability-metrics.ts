/** What can be asked of Prometheus: the series of the server's catalog, of prom-client, and of Prometheus itself. */
import { metricCatalog } from '../../src/host/metric-catalog.ts';

export interface Series {
  /** `bucket`: the part of a histogram that has `le`; it counts, too. */
  readonly type: 'counter' | 'gauge' | 'bucket';
  readonly labels: readonly string[];
  /** Its metric; the name without the suffix of a histogram's part. */
  readonly metric: string;
}

/** Of prom-client's own, those that are worth a look. */
export const processMetrics: Readonly<Record<string, 'counter' | 'gauge'>> = {
  process_cpu_user_seconds_total: 'counter',
  process_cpu_system_seconds_total: 'counter',
  process_cpu_seconds_total: 'counter',
  process_resident_memory_bytes: 'gauge',
  process_open_fds: 'gauge',
  process_max_fds: 'gauge',
  process_start_time_seconds: 'gauge',
};

/** What Prometheus adds to every series when it scrapes. */
const targetLabels = ['instance', 'job'];

/** By the name that stands in an expression. */
export const knownSeries: ReadonlyMap<string, Series> = new Map([...ofCatalog(), ...ofProcess()]);

function* ofCatalog(): Iterable<[string, Series]> {
  for (const [metric, facts] of Object.entries(metricCatalog)) {
    const labels = [...targetLabels, ...('labels' in facts ? facts.labels : [])];
    if (facts.type !== 'histogram') yield [metric, { type: facts.type, labels, metric }];
    else {
      yield [`${metric}_bucket`, { type: 'bucket', labels: [...labels, 'le'], metric }];
      yield [`${metric}_sum`, { type: 'counter', labels, metric }];
      yield [`${metric}_count`, { type: 'counter', labels, metric }];
    }
  }
}

function* ofProcess(): Iterable<[string, Series]> {
  for (const [metric, type] of Object.entries(processMetrics)) yield [metric, { type, labels: targetLabels, metric }];
  yield ['up', { type: 'gauge', labels: targetLabels, metric: 'up' }];
}
