/**
 * Reads the part of PromQL that the alert rules and the dashboard keep to: numbers, selectors with matchers and ranges,
 * functions, aggregations with `by` or `without` in front of their argument, and operators. Whatever else there is
 * (offsets, subqueries, `on`, `ignoring`, `bool`, unary minus) is refused, so that what passes here means what it seems to.
 *
 * Durations may be Grafana's variables, such as `$__rate_interval`.
 */

export interface Matcher {
  readonly label: string;
  readonly operator: string;
  readonly value: string;
}

export interface Selector {
  readonly kind: 'selector';
  readonly name: string;
  readonly matchers: readonly Matcher[];
  /** Undefined when it asks for one moment. */
  readonly range: string | undefined;
}

export interface Aggregation {
  readonly kind: 'aggregation';
  readonly name: string;
  readonly clause: 'by' | 'without';
  readonly labels: readonly string[];
  readonly of: Expression;
}

export type Expression =
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[] }
  | { readonly kind: 'binary'; readonly operator: string; readonly left: Expression; readonly right: Expression }
  | Selector
  | Aggregation;

/** @throws Error that names what it cannot read */
export function readPromql(text: string): Expression {
  const reader = new Reader(wordsOf(text));
  const expression = reader.operation(0);
  reader.end();
  return expression;
}

const aggregations = new Set(['sum', 'min', 'max', 'avg', 'count']);
const refusedWords = new Set(['bool', 'on', 'ignoring', 'group_left', 'group_right', 'offset', 'by', 'without']);
/** From the loosest to the tightest. All of them group to the left. */
const operators = [
  ['or'],
  ['and', 'unless'],
  ['==', '!=', '>', '<', '>=', '<='],
  ['+', '-'],
  ['*', '/', '%'],
] as const satisfies readonly (readonly string[])[];

const word = /^[a-zA-Z_:][\w:]*$/;
const quoted = /^"(?:[^"\\]|\\.)*"$/;
const range = /^\[(\d+[smhd]|\$__rate_interval|\$__range)\]$/;

function wordsOf(text: string): string[] {
  const pattern =
    /\s*(\d+(?:\.\d+)?(?![\w.])|[a-zA-Z_:][\w:]*|"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[=!<>]=|=~|!~|[-+*/%=<>(){},])/y;
  const words: string[] = [];
  const trimmed = text.trimEnd();
  while (pattern.lastIndex < trimmed.length) {
    const from = pattern.lastIndex;
    const found = pattern.exec(trimmed);
    if (found === null) throw new Error(`"${trimmed.slice(from).trim()}" cannot be read`);
    words.push(found[1]!);
  }
  return words;
}

class Reader {
  readonly #words: readonly string[];
  #place = 0;

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  end(): void {
    if (this.#next() !== undefined) throw new Error(`"${this.#next()}" stands behind the end`);
  }

  operation(level: number): Expression {
    const here: readonly string[] | undefined = operators[level];
    if (here === undefined) return this.#operand();
    let left = this.operation(level + 1);
    for (let operator = this.#next(); operator !== undefined && here.includes(operator); operator = this.#next()) {
      this.#take();
      left = { kind: 'binary', operator, left, right: this.operation(level + 1) };
    }
    return left;
  }

  #operand(): Expression {
    const first = this.#take();
    if (/^\d/.test(first)) return { kind: 'number', value: Number(first) };
    if (first === '(') {
      const inner = this.operation(0);
      this.#expect(')');
      return inner;
    }
    if (!word.test(first) || refusedWords.has(first)) throw new Error(`"${first}" is no operand`);
    if (aggregations.has(first)) return this.#aggregation(first);
    if (this.#next() === '(') return { kind: 'call', name: first, args: this.#list('(', ')', () => this.operation(0)) };
    return this.#selector(first);
  }

  #aggregation(name: string): Aggregation {
    // Without a clause no label stays.
    let clause: 'by' | 'without' = 'by';
    let labels: string[] = [];
    if (this.#next() !== '(') {
      const taken = this.#take();
      if (taken !== 'by' && taken !== 'without') throw new Error(`"${taken}" stands behind ${name}`);
      clause = taken;
      labels = this.#list('(', ')', () => this.#name());
    }
    this.#expect('(');
    const of = this.operation(0);
    this.#expect(')');
    return { kind: 'aggregation', name, clause, labels, of };
  }

  #selector(name: string): Selector {
    const matchers = this.#next() === '{' ? this.#list('{', '}', () => this.#matcher()) : [];
    const ranged = this.#next()?.startsWith('[') ? this.#take() : undefined;
    if (ranged !== undefined && !range.test(ranged)) throw new Error(`"${ranged}" is no range`);
    return { kind: 'selector', name, matchers, range: ranged?.slice(1, -1) };
  }

  #matcher(): Matcher {
    const label = this.#name();
    const operator = this.#take();
    if (!['=', '!=', '=~', '!~'].includes(operator)) throw new Error(`"${operator}" compares no label`);
    const value = this.#take();
    if (!quoted.test(value)) throw new Error(`${label} is compared with ${value}, which has no quotes`);
    return { label, operator, value: JSON.parse(value) as string };
  }

  #name(): string {
    const name = this.#take();
    if (!word.test(name)) throw new Error(`"${name}" is no label`);
    return name;
  }

  #list<T>(open: string, close: string, item: () => T): T[] {
    const items: T[] = [];
    this.#expect(open);
    while (this.#next() !== close) {
      if (items.length > 0) this.#expect(',');
      items.push(item());
    }
    this.#expect(close);
    return items;
  }

  #next(): string | undefined {
    return this.#words[this.#place];
  }

  #take(): string {
    const taken = this.#next();
    if (taken === undefined) throw new Error('it ends too early');
    this.#place += 1;
    return taken;
  }

  #expect(wanted: string): void {
    const taken = this.#take();
    if (taken !== wanted) throw new Error(`"${taken}" stands where "${wanted}" should be`);
  }
}
