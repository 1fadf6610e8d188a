/**
 * Says what is wrong with an expression, as somebody who knows every metric would: names and labels that do not exist,
 * counters that are not asked for their rate, gauges that are, quantiles of what is no histogram, and operations whose
 * sides can never match because one has a label that the other has not.
 */
import { errorCodes } from '../../src/protocol/errors.ts';
import { closeCodes } from '../../src/protocol/messages.ts';
import { knownSeries, type Series } from './observability-metrics.ts';
import { type Aggregation, type Expression, readPromql, type Selector } from './observability-promql.ts';

export interface Findings {
  readonly problems: readonly string[];
  /** Names of series that it asks for. */
  readonly names: ReadonlySet<string>;
  /** Labels that its result has. */
  readonly labels: readonly string[];
  readonly selectors: readonly Selector[];
}

export function inspect(text: string): Findings {
  const inspection = new Inspection();
  const { problems, names, selectors } = inspection;
  let value: Value = { kind: 'scalar' };
  try {
    value = inspection.valueOf(readPromql(text));
  } catch (error) {
    problems.push((error as Error).message);
  }
  return { problems, names, selectors, labels: value.kind === 'vector' ? value.labels : [] };
}

type Value =
  | { readonly kind: 'scalar' }
  | { readonly kind: 'vector'; readonly labels: readonly string[]; readonly isBuckets: boolean };

const ofCounters = new Set(['rate', 'increase']);
const ofGauges = new Set(['delta', 'deriv', 'predict_linear', 'changes', 'min_over_time', 'max_over_time']);
const argumentCounts: Readonly<Record<string, number>> = {
  time: 0,
  absent: 1,
  histogram_quantile: 2,
  ...Object.fromEntries([...ofCounters, ...ofGauges].map((name) => [name, 1])),
  predict_linear: 2,
};
const setOperators = new Set(['and', 'or', 'unless']);

/** Of labels whose values are few and known here. */
const labelValues: Readonly<Record<string, readonly string[]>> = {
  outcome: ['ok', 'failed', 'rejected', 'unknown'],
  quantile: ['0.5', '0.99', '1'],
  state: ['attached', 'detached'],
  code: [...Object.keys(errorCodes), ...Object.values(closeCodes).map(String)],
};

class Inspection {
  readonly problems: string[] = [];
  readonly names = new Set<string>();
  readonly selectors: Selector[] = [];

  valueOf(expression: Expression): Value {
    switch (expression.kind) {
      case 'number':
        return { kind: 'scalar' };
      case 'selector':
        return this.#moment(expression);
      case 'call':
        return this.#call(expression.name, expression.args);
      case 'aggregation':
        return this.#aggregation(expression);
      case 'binary':
        return this.#binary(expression);
    }
  }

  #moment(selector: Selector): Value {
    const series = this.#series(selector);
    if (selector.range !== undefined) this.#say(`${selector.name} has a range, but nothing that takes one`);
    if (series.type !== 'gauge') this.#say(`${selector.name} only grows; ask for its rate or increase`);
    return { kind: 'vector', labels: series.labels, isBuckets: false };
  }

  #series(selector: Selector): Series {
    const { name, matchers } = selector;
    this.selectors.push(selector);
    this.names.add(name);
    const series = knownSeries.get(name);
    if (series === undefined) {
      this.#say(`${name} is exported by nobody`);
      return { type: 'gauge', labels: matchers.map(({ label }) => label), metric: name };
    }
    for (const { label, operator, value } of matchers) {
      if (!series.labels.includes(label)) this.#say(`${name} has no label ${label}`);
      if (operator === '=' && labelValues[label]?.includes(value) === false)
        this.#say(`${name} has no ${label} "${value}"`);
    }
    return series;
  }

  #call(name: string, args: readonly Expression[]): Value {
    const expected = argumentCounts[name];
    if (expected === undefined) this.#say(`${name} is no function known here`);
    else if (args.length !== expected) this.#say(`${name} takes ${expected} arguments, not ${args.length}`);
    if (name === 'absent') return this.#absent(args);
    if (name === 'histogram_quantile') return this.#quantile(args);
    if (ofCounters.has(name) || ofGauges.has(name)) return this.#overTime(name, args);
    return { kind: 'scalar' };
  }

  #overTime(name: string, args: readonly Expression[]): Value {
    const [selector] = args;
    if (selector?.kind !== 'selector' || selector.range === undefined) {
      this.#say(`${name} takes a range, such as fermata_actors[5m]`);
      return selector === undefined ? { kind: 'scalar' } : this.valueOf(selector);
    }
    const series = this.#series(selector);
    if (ofCounters.has(name) && series.type === 'gauge') this.#say(`${selector.name} is a gauge, which has no ${name}`);
    if (ofGauges.has(name) && series.type !== 'gauge')
      this.#say(`${selector.name} only grows, so ${name} says nothing`);
    return { kind: 'vector', labels: series.labels, isBuckets: series.type === 'bucket' };
  }

  #quantile(args: readonly Expression[]): Value {
    const [quantile, of] = args;
    if (quantile?.kind !== 'number' || quantile.value <= 0 || quantile.value >= 1)
      this.#say('histogram_quantile takes a number between 0 and 1 first');
    const value: Value = of === undefined ? { kind: 'scalar' } : this.valueOf(of);
    if (value.kind === 'scalar' || !value.isBuckets || !value.labels.includes('le')) {
      this.#say('histogram_quantile takes the rate of _bucket, with its label le');
      return value;
    }
    return { kind: 'vector', labels: value.labels.filter((label) => label !== 'le'), isBuckets: false };
  }

  #absent(args: readonly Expression[]): Value {
    const [selector] = args;
    if (selector?.kind !== 'selector') this.#say('absent takes a selector');
    else this.#moment(selector);
    const known = selector?.kind === 'selector' ? selector.matchers.filter(({ operator }) => operator === '=') : [];
    return { kind: 'vector', labels: known.map(({ label }) => label), isBuckets: false };
  }

  #aggregation({ name, clause, labels, of }: Aggregation): Value {
    const value = this.valueOf(of);
    if (value.kind === 'scalar') {
      this.#say(`${name} takes no number`);
      return value;
    }
    for (const label of labels) {
      if (!value.labels.includes(label)) this.#say(`${name} ${clause} (${label}): there is no such label to group by`);
    }
    const left = value.labels.filter((label) => labels.includes(label) === (clause === 'by'));
    return { kind: 'vector', labels: left, isBuckets: value.isBuckets && name === 'sum' };
  }

  #binary({ operator, left, right }: Extract<Expression, { kind: 'binary' }>): Value {
    const [a, b] = [this.valueOf(left), this.valueOf(right)];
    if (a.kind === 'vector' && b.kind === 'vector') {
      const lone = [...a.labels, ...b.labels].filter((label) => !a.labels.includes(label) || !b.labels.includes(label));
      if (lone.length > 0) this.#say(`the sides of ${operator} never match: only one has ${lone.join(', ')}`);
    } else if (setOperators.has(operator)) this.#say(`${operator} takes no number`);
    const value = a.kind === 'vector' ? a : b;
    return value.kind === 'scalar' ? value : { ...value, isBuckets: false };
  }

  #say(problem: string): void {
    this.problems.push(problem);
  }
}
