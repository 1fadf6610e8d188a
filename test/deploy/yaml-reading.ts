/**
 * Reads the part of YAML that the deployment files keep to: mappings and sequences in blocks, flow collections on one
 * line, quoted and plain scalars, comments, several documents. Whatever else YAML has (anchors, tags, block scalars,
 * words such as `yes` that readers disagree about, a key that is there twice) is refused with its line, so that what
 * passes here means the same to every reader.
 */

export type Yaml = string | number | boolean | null | readonly Yaml[] | { readonly [key: string]: Yaml };

interface Line {
  readonly number: number;
  readonly indent: number;
  readonly text: string;
}

/** Its documents. @throws Error that names the line */
export function readYaml(text: string): Yaml[] {
  const documents: Line[][] = [[]];
  for (const [index, raw] of text.split('\n').entries()) {
    const line = { number: index + 1, indent: raw.search(/[^ ]|$/), text: withoutComment(raw).trim() };
    if (/^\s*\t/.test(raw)) throw refusal(line, 'a tab');
    if (line.text === '---') documents.push([]);
    else if (line.text !== '') documents.at(-1)!.push(line);
  }
  return documents.filter((lines) => lines.length > 0).map((lines) => new Reader(lines).document());
}

/** What lies at the end of this way. @throws Error when it ends before */
export function at(value: Yaml, ...way: readonly (string | number)[]): Yaml {
  let place: Yaml = value;
  for (const [index, step] of way.entries()) {
    const next: Yaml | undefined = isCollection(place) && Object.hasOwn(place, step) ? place[step] : undefined;
    if (next === undefined) throw new Error(`there is no ${way.slice(0, index + 1).join('.')}`);
    place = next;
  }
  return place;
}

function isCollection(value: Yaml): value is { readonly [key: string | number]: Yaml } {
  return typeof value === 'object' && value !== null;
}

class Reader {
  readonly #lines: Line[];

  constructor(lines: readonly Line[]) {
    this.#lines = [...lines];
  }

  document(): Yaml {
    const value = this.#block(this.#lines[0]!.indent);
    if (this.#lines[0] !== undefined) throw refusal(this.#lines[0], 'an indentation that fits nowhere');
    return value;
  }

  /** What begins at this indentation: a sequence, a mapping, or one scalar. */
  #block(indent: number): Yaml {
    const [first] = this.#lines;
    if (/^-( |$)/.test(first!.text)) return this.#sequence(indent);
    if (keyed(first!) !== undefined) return this.#mapping(indent);
    this.#lines.shift();
    return scalar(first!, first!.text);
  }

  #sequence(indent: number): Yaml[] {
    const items: Yaml[] = [];
    for (;;) {
      const [line] = this.#lines;
      if (line === undefined || line.indent !== indent || !/^-( |$)/.test(line.text)) return items;
      const rest = line.text.slice(1).trimStart();
      this.#lines.shift();
      // What follows the dash stands at its own indentation, as if the dash were a blank.
      if (rest !== '') this.#lines.unshift({ ...line, indent: indent + line.text.length - rest.length, text: rest });
      items.push(this.#below(indent));
    }
  }

  #mapping(indent: number): Record<string, Yaml> {
    const entries = new Map<string, Yaml>();
    for (;;) {
      const [line] = this.#lines;
      if (line === undefined || line.indent !== indent) break;
      const pair = keyed(line);
      if (pair === undefined) throw refusal(line, 'no key and value');
      if (entries.has(pair.key)) throw refusal(line, `a second ${pair.key}`);
      this.#lines.shift();
      const [next] = this.#lines;
      const listed = next !== undefined && next.indent === indent && /^-( |$)/.test(next.text);
      if (pair.rest !== '') entries.set(pair.key, scalar(line, pair.rest));
      else entries.set(pair.key, listed ? this.#sequence(indent) : this.#below(indent));
    }
    return Object.fromEntries(entries);
  }

  #below(indent: number): Yaml {
    const [next] = this.#lines;
    return next === undefined || next.indent <= indent ? null : this.#block(next.indent);
  }
}

const quoted = /^(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')/;

function keyed(line: Line): { key: string; rest: string } | undefined {
  const key =
    quoted.exec(line.text)?.[0] ??
    /^[^\s"'[\]{},#&*!|>%@`-][^\s:]*(?=:)|^[^\s"'[\]{},][^\s]*?(?=:( |$))/.exec(line.text)?.[0];
  if (key === undefined || !/^:( |$)/.test(line.text.slice(key.length))) return undefined;
  return { key: keyOf(line, key), rest: line.text.slice(key.length + 1).trim() };
}

function scalar(line: Line, text: string): Yaml {
  if (/^[[{]/.test(text)) {
    const { value, rest } = flow(line, text);
    if (rest.trim() !== '') throw refusal(line, `"${rest.trim()}" behind a collection`);
    return value;
  }
  if (/^["']/.test(text)) {
    if (quoted.exec(text)?.[0] !== text) throw refusal(line, 'a quote that does not end where the value does');
    return text.startsWith('"') ? (JSON.parse(text) as string) : text.slice(1, -1).replaceAll("''", "'");
  }
  return plain(line, text);
}

/** A collection on one line. */
function flow(line: Line, text: string): { value: Yaml; rest: string } {
  const isMap = text.startsWith('{');
  const close = isMap ? '}' : ']';
  const items: Yaml[] = [];
  const entries = new Map<string, Yaml>();
  let rest = text.slice(1).trimStart();
  while (!rest.startsWith(close)) {
    let key = '';
    if (isMap) {
      const found = /^("(?:[^"\\]|\\.)*"|[^\s"'[\]{},:]+):\s+/.exec(rest);
      if (found === null) throw refusal(line, 'a flow mapping that goes over the line, or an odd key');
      key = keyOf(line, found[1]!);
      if (entries.has(key)) throw refusal(line, `a second ${key}`);
      rest = rest.slice(found[0].length);
    }
    let value: Yaml;
    if (/^[[{]/.test(rest)) ({ value, rest } = flow(line, rest));
    else {
      const word = quoted.exec(rest)?.[0] ?? /^[^,[\]{}]+/.exec(rest)?.[0];
      if (word === undefined) throw refusal(line, 'a collection that does not end');
      value = scalar(line, word.trim());
      rest = rest.slice(word.length);
    }
    if (isMap) entries.set(key, value);
    else items.push(value);
    rest = rest.trimStart();
    if (rest.startsWith(',')) rest = rest.slice(1).trimStart();
    else if (!rest.startsWith(close)) throw refusal(line, 'a collection that does not end');
  }
  return { value: isMap ? Object.fromEntries(entries) : items, rest: rest.slice(1) };
}

/** As text: `8080:` and `"8080":` are the same key here, and `yes:` or `n:` none that readers agree about. */
function keyOf(line: Line, text: string): string {
  const value = scalar(line, text);
  if (value === null || typeof value === 'object') throw refusal(line, `the key ${text}`);
  return String(value);
}

function plain(line: Line, text: string): Yaml {
  if (/^[&*!|>%@`]/.test(text) || text.includes(': ')) throw refusal(line, `"${text}"`);
  if (/^(?:y|n|yes|no|on|off)$/i.test(text) || /^0[0-7]+$/.test(text)) throw refusal(line, `"${text}" without quotes`);
  if (text === 'null' || text === '~') return null;
  if (text === 'true' || text === 'false') return text === 'true';
  return /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/.test(text) ? Number(text) : text;
}

function withoutComment(text: string): string {
  let index = 0;
  while (index < text.length) {
    const first = index === 0 || /[\s[{,:]/.test(text[index - 1]!);
    const skipped = first ? quoted.exec(text.slice(index))?.[0].length : undefined;
    if (skipped === undefined && text[index] === '#' && first && !/[[{,:]/.test(text[index - 1] ?? ''))
      return text.slice(0, index);
    index += skipped ?? 1;
  }
  return text;
}

function refusal(line: Line, what: string): Error {
  return new Error(`line ${line.number}: ${what}, which this reader does not take`);
}
