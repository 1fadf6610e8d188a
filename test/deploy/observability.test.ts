/** The alert rules, the dashboard and docs/metrics.md, held against the metrics that the server exports. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { metricCatalog } from '../../src/host/metric-catalog.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { root } from '../support/server.ts';
import { linkViolations } from '../tidy/checks.ts';
import { inspect } from './observability-check.ts';
import { knownSeries, processMetrics } from './observability-metrics.ts';
import { type Expression, readPromql } from './observability-promql.ts';
import { at, readYaml, type Yaml } from './yaml-reading.ts';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: { readonly uid: string };
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly Target[];
}

interface Target {
  readonly refId: string;
  readonly expr: string;
  readonly legendFormat: string;
  readonly datasource: { readonly uid: string };
}

interface Dashboard {
  readonly schemaVersion: number;
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
  readonly panels: readonly Panel[];
}

const textOf = (path: string): string => readFileSync(join(root, path), 'utf8');
const [alerts] = readYaml(textOf('deploy/prometheus/alerts.yaml'));
const [prometheus] = readYaml(textOf('deploy/prometheus/prometheus.yaml'));
const rules = (at(alerts!, 'groups') as Yaml[]).flatMap((group) => at(group, 'rules') as unknown as Rule[]);
const dashboard = JSON.parse(textOf('deploy/grafana/fermata.json')) as Dashboard;
const panels = dashboard.panels.filter(({ type }) => type !== 'row');
const targets = panels.flatMap((panel) => panel.targets!.map((target) => ({ ...target, title: panel.title })));
const document = textOf('docs/metrics.md');

test('the list of metrics of the process is what prom-client has', () => {
  const register = new Registry();
  collectDefaultMetrics({ register });
  const types = Object.fromEntries(register.getMetricsAsArray().map(({ name, type }) => [name, String(type)]));
  expect(types).toMatchObject(processMetrics);
});

test('every metric of the catalog is shown or watched', () => {
  const used = new Set<string | undefined>();
  for (const { expr } of [...rules, ...targets])
    for (const name of inspect(expr).names) used.add(knownSeries.get(name)?.metric);
  expect(Object.keys(metricCatalog).filter((name) => !used.has(name))).toEqual([]);
});

describe.each(rules)('$alert', ({ expr, for: lasting, labels, annotations }) => {
  const findings = inspect(expr);

  test('asks for what there is', () => {
    expect(findings.problems).toEqual([]);
  });

  test('says how bad it is, for how long it must last, and what to do', () => {
    expect(['critical', 'warning', 'info']).toContain(labels.severity);
    expect(lasting).toMatch(/^\d+[smh]$/);
    for (const text of [annotations.summary, annotations.description]) {
      expect(text.length).toBeGreaterThan(20);
      expect(text.replace(/\{\{ \$(?:value|labels\.\w+)(?: \| humanize\w*)? \}\}/g, '')).not.toMatch(/[{}$]/);
    }
  });

  test('names only labels that it has', () => {
    const text = annotations.summary + annotations.description;
    for (const [, label] of text.matchAll(/\$labels\.(\w+)/g)) expect(findings.labels).toContain(label);
  });

  test('leads to a heading that helps', () => {
    const link = /: (docs\/(?:operations|backup)\.md#[a-z0-9-]+)$/.exec(annotations.description)?.[1];
    expect(link).toBeDefined();
    const file = { path: 'deploy/prometheus/alerts.yaml', text: `[here](../../${link!})` };
    expect(linkViolations(file, (path) => existsSync(join(root, path)), textOf)).toEqual([]);
  });

  test('looks for a quantile only where a bucket ends, so that it is not guessed', () => {
    for (const { metric, bound } of quantileBounds(readPromql(expr)))
      expect((metricCatalog as Record<string, { buckets?: readonly number[] }>)[metric]?.buckets).toContain(bound);
  });
});

describe('the alert rules', () => {
  test('have names of their own', () => {
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
    for (const { alert } of rules) expect(alert).toMatch(/^Fermata[A-Z]\w+$/);
  });

  test('have the bounds that the server has by default', () => {
    const numbers = rules.flatMap(({ expr }) => (expr.match(/\b\d{5,}\b/g) ?? []).map(Number));
    const { journalBytesMax, socketsMax } = defaultLimits;
    expect(new Set(numbers)).toEqual(new Set([journalBytesMax, socketsMax, 4 * 2 ** 20]));
  });

  test('are loaded by the example, whose job they know', () => {
    expect(at(prometheus!, 'rule_files')).toEqual(['alerts.yaml']);
    const jobs = (at(prometheus!, 'scrape_configs') as Yaml[]).map((config) => at(config, 'job_name'));
    expect(jobs).toEqual(['fermata']);
    const asked = rules.flatMap(({ expr }) => inspect(expr).selectors.flatMap(({ matchers }) => matchers));
    for (const { label, value } of asked.filter(({ label }) => label === 'job'))
      expect([label, value]).toEqual(['job', 'fermata']);
  });

  test('ask other jobs for nothing: what every process exports is asked of the job only', () => {
    for (const { expr } of rules)
      for (const { name, matchers } of inspect(expr).selectors)
        if (!name.startsWith('fermata_')) expect(matchers.map(({ label }) => label)).toContain('job');
  });
});

describe('the dashboard', () => {
  test.each(targets)('$title, $refId: $expr', ({ expr, legendFormat }) => {
    const { problems, selectors, labels } = inspect(expr);
    expect(problems).toEqual([]);
    for (const { matchers } of selectors)
      expect(matchers).toContainEqual({ label: 'instance', operator: '=~', value: '$instance' });
    // A legend tells apart exactly what the result has.
    expect([...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label)).toEqual(labels);
    expect(legendFormat.trim()).not.toBe('');
  });

  test('has a place, a unit and a word for each panel', () => {
    for (const { title, description, fieldConfig, datasource, targets: own } of panels) {
      expect([title, description?.length ?? 0]).toEqual([title, expect.toSatisfy((length: number) => length > 20)]);
      expect([title, units.has(fieldConfig?.defaults.unit ?? '')]).toEqual([title, true]);
      expect(own!.length).toBeGreaterThan(0);
      expect(new Set(own!.map(({ refId }) => refId)).size).toBe(own!.length);
      for (const source of [datasource, ...own!.map((target) => target.datasource)])
        expect(source?.uid).toBe('${datasource}');
    }
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
  });

  test('has no panel on another', () => {
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) => {
      expect(x + w).toBeLessThanOrEqual(24);
      return Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)}:${y + Math.floor(cell / w)}`);
    });
    expect(new Set(cells).size).toBe(cells.length);
  });

  test('lets its reader choose the data source and the server', () => {
    const variables = dashboard.templating.list.map(({ name, definition }) => [name, definition]);
    expect(variables).toEqual([
      ['datasource', undefined],
      ['instance', 'label_values(fermata_info, instance)'],
    ]);
    expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(39);
  });
});

describe('docs/metrics.md', () => {
  test('lists every metric as the catalog has it, and no other', () => {
    const listed = [...document.matchAll(/^\| `(fermata_\w+)` \| (.+?) \| (.*?) \| (.+) \|$/gm)].map((row) =>
      row.slice(1),
    );
    const exported = Object.entries(metricCatalog).map(([name, facts]) => [
      name,
      facts.type,
      'labels' in facts ? facts.labels.map((label) => `\`${label}\``).join(', ') : '',
      facts.help,
    ]);
    expect(listed).toEqual(exported);
  });

  test('lists every alert with its severity and the time that it must last', () => {
    const listed = [...document.matchAll(/^\| `(Fermata\w+)` \| (\w+) \| (\w+) \|/gm)].map((row) => row.slice(1));
    expect(listed).toEqual(rules.map((rule) => [rule.alert, rule.labels.severity, rule.for]));
  });

  test('has examples that can be read', () => {
    const examples = [...document.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text]) => text!);
    expect(examples.length).toBeGreaterThan(2);
    for (const text of examples) expect(() => readYaml(text)).not.toThrow();
  });
});

/** Of Grafana's units, those that are used. */
const units = new Set(['none', 'short', 's', 'cps', 'bytes', 'Bps']);

function quantileBounds(expression: Expression): { metric: string; bound: number }[] {
  if (expression.kind !== 'binary') return [];
  const { left, right } = expression;
  if (left.kind !== 'call' || left.name !== 'histogram_quantile' || right.kind !== 'number')
    return [...quantileBounds(left), ...quantileBounds(right)];
  const [name] = inspectedNames(left);
  return [{ metric: knownSeries.get(name!)!.metric, bound: right.value }];
}

function inspectedNames(expression: Expression): string[] {
  if (expression.kind === 'selector') return [expression.name];
  if (expression.kind === 'call') return expression.args.flatMap(inspectedNames);
  return expression.kind === 'aggregation' ? inspectedNames(expression.of) : [];
}
