/** Proves with planted mistakes that the checks of observability.test.ts would see them. */
import { expect, test } from 'vitest';
import { inspect } from './observability-check.ts';

test.each([
  ['sum by (outcome) (rate(fermata_calls_total{instance=~"$instance"}[$__rate_interval]))', ['outcome']],
  ['histogram_quantile(0.99, sum by (le) (rate(fermata_call_duration_seconds_bucket[5m])))', []],
  ['histogram_quantile(0.99, rate(fermata_call_duration_seconds_bucket[5m]))', ['instance', 'job']],
  ['rate(fermata_commit_calls_sum[5m]) / rate(fermata_commit_calls_count[5m])', ['instance', 'job']],
  ['0.8 * count without (thread) (fermata_thread_up{thread=~"gateway-.+"}) < fermata_sockets', ['instance', 'job']],
  ['absent(up{job="fermata"})', ['job']],
  ['time() - process_start_time_seconds', ['instance', 'job']],
  ['fermata_ready == 1 unless fermata_backup_overdue', ['instance', 'job']],
  ['(1 + 2) * 3', []],
])('right: %s', (text, labels) => {
  const findings = inspect(text);
  expect([findings.problems, findings.labels]).toEqual([[], labels]);
});

test.each([
  ['fermata_socket', 'fermata_socket is exported by nobody'],
  ['rate(fermata_call_duration_seconds[5m])', 'fermata_call_duration_seconds is exported by nobody'],
  ['fermata_sockets{tenant="acme"}', 'fermata_sockets has no label tenant'],
  ['sum by (le) (fermata_sockets)', 'sum by (le): there is no such label to group by'],
  ['sum without (code) (fermata_sockets)', 'sum without (code): there is no such label to group by'],
  ['increase(fermata_calls_total{outcome="lost"}[5m])', 'fermata_calls_total has no outcome "lost"'],
  ['rate(fermata_refusals_total{code="TOO_BUSY"}[5m])', 'fermata_refusals_total has no code "TOO_BUSY"'],
  ['rate(fermata_sockets[5m])', 'fermata_sockets is a gauge, which has no rate'],
  ['increase(process_open_fds[5m])', 'process_open_fds is a gauge, which has no increase'],
  ['deriv(fermata_calls_total[5m])', 'fermata_calls_total only grows, so deriv says nothing'],
  ['sum(fermata_calls_total)', 'fermata_calls_total only grows; ask for its rate or increase'],
  ['fermata_call_duration_seconds_sum', 'fermata_call_duration_seconds_sum only grows; ask for its rate or increase'],
  ['fermata_sockets[5m]', 'fermata_sockets has a range, but nothing that takes one'],
  ['rate(fermata_calls_total)', 'rate takes a range, such as fermata_actors[5m]'],
  ['rate(sum(fermata_sockets))', 'rate takes a range, such as fermata_actors[5m]'],
  [
    'histogram_quantile(0.99, sum(rate(fermata_call_duration_seconds_bucket[5m])))',
    'histogram_quantile takes the rate of _bucket, with its label le',
  ],
  [
    'histogram_quantile(0.99, rate(fermata_call_duration_seconds_count[5m]))',
    'histogram_quantile takes the rate of _bucket, with its label le',
  ],
  [
    'histogram_quantile(99, rate(fermata_call_duration_seconds_bucket[5m]))',
    'histogram_quantile takes a number between 0 and 1 first',
  ],
  [
    'rate(fermata_refusals_total[5m]) > rate(fermata_calls_total[5m])',
    'the sides of > never match: only one has code, outcome',
  ],
  ['fermata_ready and 1', 'and takes no number'],
  ['sum(1)', 'sum takes no number'],
  ['absent(sum(up))', 'absent takes a selector'],
  ['predict_linear(fermata_journal_bytes[5m])', 'predict_linear takes 2 arguments, not 1'],
  ['topk(3, fermata_sockets)', 'topk is no function known here'],
])('wrong: %s', (text, problem) => {
  expect(inspect(text).problems).toContain(problem);
});

test.each([
  ['sum(fermata_sockets', 'it ends too early'],
  ['sum(fermata_sockets))', '")" stands behind the end'],
  ['sum(fermata_sockets) by (job)', '"by" stands behind the end'],
  ['sum over (job) (fermata_sockets)', '"over" stands behind sum'],
  ['fermata_sockets{job="a" instance="b"}', '"instance" stands where "," should be'],
  ['fermata_sockets{job=fermata}', 'job is compared with fermata, which has no quotes'],
  ['fermata_sockets{job>"a"}', '">" compares no label'],
  ['fermata_sockets{"a"="b"}', '""a"" is no label'],
  ['rate(fermata_calls_total[5 minutes])', '"[5 minutes]" is no range'],
  ['fermata_sockets > bool 1', '"bool" is no operand'],
  ['fermata_sockets offset 5m', '"5m" cannot be read'],
  ['fermata_sockets $ 1', '"$ 1" cannot be read'],
  ['* 2', '"*" is no operand'],
  ['', 'it ends too early'],
])('cannot be read: %s', (text, problem) => {
  expect(inspect(text).problems).toEqual([problem]);
});
