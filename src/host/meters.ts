/**
 * What a thread counts, and how it tells: plain fields while it works, samples when somebody asks.
 *
 * Counting is on the path of every call, so nothing here looks up a label or makes an object for it. Samples have the shape
 * that prom-client merges and prints in main (`cli/metrics.ts`).
 */
import { metricCatalog, type MetricName } from './metric-catalog.ts';

export interface Sample {
  readonly name: MetricName;
  readonly values: readonly SampleValue[];
}

interface SampleValue {
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Of the parts of a histogram: its name with `_bucket`, `_sum` or `_count`. */
  readonly metricName?: string;
}

type HistogramName = {
  [N in MetricName]: (typeof metricCatalog)[N]['type'] extends 'histogram' ? N : never;
}[MetricName];

/** One value without labels. */
export function sample(name: MetricName, value: number): Sample {
  return { name, values: [{ value, labels: {} }] };
}

/** One value for each value of a label. */
export function samples(name: MetricName, label: string, values: Iterable<readonly [string, number]>): Sample {
  return { name, values: Array.from(values, ([of, value]) => ({ value, labels: { [label]: of } })) };
}

/** Counts by a label with few values. */
export class Tally {
  readonly #counts: Map<string, number>;

  /** `known` are told from the start, with 0: a first one of them is then seen as a rise. */
  constructor(known: Iterable<string> = []) {
    this.#counts = new Map(Array.from(known, (value) => [value, 0]));
  }

  add(value: string): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + 1);
  }

  sample(name: MetricName, label: string): Sample {
    return samples(name, label, this.#counts);
  }
}

/** How often a measure fell below each bound of the catalog. */
export class Histogram {
  readonly #name: HistogramName;
  readonly #bounds: readonly number[];
  /** One for each bound, and one for what is above them all. */
  readonly #counts: number[];
  #sum = 0;

  constructor(name: HistogramName) {
    this.#name = name;
    this.#bounds = metricCatalog[name].buckets;
    this.#counts = Array.from({ length: this.#bounds.length + 1 }, () => 0);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && value > this.#bounds[bucket]!) bucket += 1;
    this.#counts[bucket]! += 1;
    this.#sum += value;
  }

  sample(): Sample {
    const name = this.#name;
    const values: SampleValue[] = [];
    let below = 0;
    for (const [bucket, count] of this.#counts.entries()) {
      below += count;
      const le = bucket < this.#bounds.length ? String(this.#bounds[bucket]) : '+Inf';
      values.push({ value: below, labels: { le }, metricName: `${name}_bucket` });
    }
    values.push({ value: this.#sum, labels: {}, metricName: `${name}_sum` });
    values.push({ value: below, labels: {}, metricName: `${name}_count` });
    return { name, values };
  }
}
