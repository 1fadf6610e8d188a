/**
 * `/metrics`: asks every thread what it counted, adds what main knows, and prints it all in the text format of Prometheus.
 *
 * Threads come and go while their counters must only grow: what a dead one had told last is kept and added. A thread that
 * does not answer in time is left out, but for its counters, and `fermata_thread_up` says so.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AggregatorRegistry, collectDefaultMetrics, Registry } from 'prom-client';
import { LoopDelay } from '../host/loop-delay.ts';
import type { Sample } from '../host/meters.ts';
import { metricCatalog, type MetricName } from '../host/metric-catalog.ts';
import type { Thread } from '../host/thread.ts';

/** Prometheus itself gives up after 10 s by default. */
const answerMsMax = 1000;

/** Main's own part. */
export interface MetricsParts {
  /** As they are now. */
  readonly threads: () => readonly Thread[];
  readonly own: () => Promise<readonly Sample[]>;
}

export class Metrics {
  readonly contentType: string;
  readonly #parts: MetricsParts;
  readonly #process = new Registry();
  readonly #loopDelay = new LoopDelay('main');
  /** What each thread told last, by its name. */
  readonly #told = new Map<string, { readonly thread: Thread; readonly samples: readonly Sample[] }>();
  /** Counters of threads that are gone. */
  #past: readonly Sample[] = [];
  #underWay: Promise<string> | undefined;

  constructor(parts: MetricsParts) {
    this.#parts = parts;
    this.contentType = this.#process.contentType;
    collectDefaultMetrics({ register: this.#process });
  }

  /** Whoever asks while it is being gathered gets the same text. */
  text(): Promise<string> {
    this.#underWay ??= this.#gather().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  async #gather(): Promise<string> {
    const threads = await Promise.all(this.#parts.threads().map((thread) => this.#ask(thread)));
    const up = threads.map(({ name, answered }) => ({ value: answered ? 1 : 0, labels: { thread: name } }));
    const samples = [
      ...this.#past,
      ...threads.flatMap((thread) => thread.samples),
      ...(await this.#parts.own()),
      this.#loopDelay.sample(),
      { name: 'fermata_thread_up' as const, values: up },
    ];
    const registry = AggregatorRegistry.aggregate([
      merged(samples).map(described),
      await this.#process.getMetricsAsJSON(),
    ]);
    return await registry.metrics();
  }

  async #ask(thread: Thread): Promise<{ name: string; answered: boolean; samples: readonly Sample[] }> {
    const { name } = thread;
    const before = this.#told.get(name);
    if (before !== undefined && before.thread !== thread) {
      this.#past = merged([...this.#past, ...before.samples.filter(grows)]);
      this.#told.delete(name);
    }
    const late = sleep(answerMsMax, undefined, { ref: false });
    const samples = await Promise.race([thread.ask<Sample[]>('metrics').catch(() => undefined), late]);
    if (samples === undefined)
      return { name, answered: false, samples: this.#told.get(name)?.samples.filter(grows) ?? [] };
    this.#told.set(name, { thread, samples });
    return { name, answered: true, samples };
  }
}

function grows({ name }: Sample): boolean {
  return metricCatalog[name].type !== 'gauge';
}

/** One sample per metric, and one value for the same labels: their sum. */
function merged(samples: readonly Sample[]): Sample[] {
  const byName = new Map<MetricName, Map<string, Sample['values'][number]>>();
  for (const { name, values } of samples) {
    const known = byName.get(name) ?? new Map<string, Sample['values'][number]>();
    byName.set(name, known);
    for (const value of values) {
      const key = `${value.metricName ?? ''} ${JSON.stringify(value.labels)}`;
      known.set(key, { ...value, value: (known.get(key)?.value ?? 0) + value.value });
    }
  }
  return Array.from(byName, ([name, values]) => ({ name, values: Array.from(values.values()) }));
}

/** As prom-client takes it. */
function described(sample: Sample): object {
  const { type, help } = metricCatalog[sample.name];
  return { ...sample, type, help, aggregator: 'sum' };
}
