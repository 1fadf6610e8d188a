import { describe, expect, it } from 'vitest';
import { Histogram, sample, samples, Tally } from '../../src/host/meters.ts';
import { metricCatalog } from '../../src/host/metric-catalog.ts';

describe('a histogram', () => {
  it('tells for each bound how many were at or below it, their sum and their count', () => {
    const histogram = new Histogram('fermata_commit_calls');
    for (const value of [1, 2, 2, 3, 5000]) histogram.observe(value);
    const { name, values } = histogram.sample();
    expect(name).toBe('fermata_commit_calls');
    const buckets = values.filter(({ metricName }) => metricName === 'fermata_commit_calls_bucket');
    expect(buckets.map(({ labels, value }) => [labels['le'], value])).toEqual([
      ['1', 1],
      ['2', 3],
      ['4', 4],
      ...['8', '16', '32', '64', '128', '256', '512', '1024'].map((le) => [le, 4]),
      ['+Inf', 5],
    ]);
    expect(values.slice(-2)).toEqual([
      { value: 5008, labels: {}, metricName: 'fermata_commit_calls_sum' },
      { value: 5, labels: {}, metricName: 'fermata_commit_calls_count' },
    ]);
  });
});

describe('a tally', () => {
  it('counts by label, and tells what it knows from the start', () => {
    const tally = new Tally(['shard', 'gateway']);
    tally.add('shard');
    tally.add('shard');
    expect(tally.sample('fermata_thread_restarts_total', 'kind')).toEqual(
      samples('fermata_thread_restarts_total', 'kind', [
        ['shard', 2],
        ['gateway', 0],
      ]),
    );
  });

  it('says one value without labels as it is', () => {
    expect(sample('fermata_sockets', 3)).toEqual({ name: 'fermata_sockets', values: [{ value: 3, labels: {} }] });
  });
});

describe('the catalog', () => {
  it('keeps to the rules of Prometheus: base units, _total for what only grows and for nothing else', () => {
    for (const [name, { type, help }] of Object.entries(metricCatalog)) {
      expect(name).toMatch(/^fermata(_[a-z]+)+$/);
      expect(name.endsWith('_total'), name).toBe(type === 'counter');
      expect(name).not.toMatch(/_(ms|milliseconds|kb|mb|seconds_total)$/);
      expect(help, name).toMatch(/\.$/);
    }
  });

  it('has no label that grows with the load', () => {
    const labels = Object.values(metricCatalog).flatMap((facts) => ('labels' in facts ? facts.labels : []));
    const few = ['version', 'thread', 'kind', 'quantile', 'state', 'code', 'outcome', 'shard'];
    expect(few).toEqual(expect.arrayContaining(labels));
  });
});
